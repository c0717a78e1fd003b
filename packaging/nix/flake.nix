{
  description = "Records every task outcome as exactly one durable git commit";

  inputs.nixpkgs.url = "nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "chiffon-audit";
          version = "0.1.0";
          # The flake is in packaging/nix of the sources.
          src = ../..;
          cargoLock.lockFile = ../../Cargo.lock;
          buildAndTestSubdir = "host";
          nativeBuildInputs = [ pkgs.installShellFiles ];
          CHIFFON_AUDIT_COMMIT = self.rev or "unknown";
          # `.ci/run` runs the tests: they need servers and a network.
          doCheck = false;
          postInstall = ''
            $out/bin/chiffon-audit man --dir man
            installManPage man/*.1
            installShellCompletion --cmd chiffon-audit \
              --bash <($out/bin/chiffon-audit completions bash) \
              --fish <($out/bin/chiffon-audit completions fish) \
              --zsh <($out/bin/chiffon-audit completions zsh)
          '';
          meta = {
            description = "Records every task outcome as exactly one durable git commit";
            license = with pkgs.lib.licenses; [ asl20 mit ];
            platforms = systems;
            mainProgram = "chiffon-audit";
          };
        };
      });
    };
}
