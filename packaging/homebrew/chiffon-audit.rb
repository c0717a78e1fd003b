# For a tap: compiles the program from the sources of a release. Put in the address of the release and the digest of its archive.
class ChiffonAudit < Formula
  desc "Records every task outcome as exactly one durable git commit"
  homepage "https://releases.example/chiffon-audit"
  url "https://releases.example/chiffon-audit/0.1.0/chiffon-audit-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["Apache-2.0", "MIT"]

  depends_on "rust" => :build
  depends_on "git"
  depends_on :linux

  def install
    system "cargo", "install", *std_cargo_args(path: "host")
    generate_completions_from_executable(bin/"chiffon-audit", "completions")
    system bin/"chiffon-audit", "man", "--dir", buildpath/"man"
    man1.install Dir["man/*.1"]
  end

  test do
    (testpath/"outcome.json").write('{"task_id": "deploy-1", "status": "completed"}')
    system "git", "init", "--quiet", "trail"
    assert_match "recorded deploy-1", shell_output("#{bin}/chiffon-audit -C trail commit outcome.json")
  end
end
