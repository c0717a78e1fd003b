//! Secrets that are known by their form, each with samples of what it finds and what it leaves alone.
//!
//! The samples are made up, and put together here so that no scanner of this repository takes them for real.

/// One form of secret.
pub struct Known {
    /// What the marker says was there.
    pub name: &'static str,
    /// The group `secret`, if there is one, is what is replaced; else all of it.
    pub regex: &'static str,
    /// Without one of these in it (in any case) a text is not searched. At least two bytes each.
    pub needs: &'static [&'static str],
    /// It finds nothing that goes over the end of a line.
    pub in_line: bool,
    /// What it finds.
    pub finds: &'static [&'static [&'static str]],
    /// What it does not.
    pub leaves: &'static [&'static str],
}

/// Names of members whose text is a secret whatever it looks like, in lower case and without `_` and `-`.
pub const NAMES: &[&str] = &[
    "accesstoken",
    "apikey",
    "authorization",
    "clientsecret",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretkey",
    "secretaccesskey",
];

/// The well-known forms.
pub const KNOWN: &[Known] = &[
    Known {
        name: "private-key",
        regex: r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
        needs: &["PRIVATE KEY"],
        in_line: false,
        finds: &[&[
            "-----BEGIN RSA PRIVATE",
            " KEY-----\nMIIEow\n-----END RSA PRIVATE",
            " KEY-----",
        ]],
        leaves: &["-----BEGIN PUBLIC KEY-----"],
    },
    Known {
        name: "aws-key-id",
        regex: r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        needs: &["AKIA", "ASIA"],
        in_line: true,
        finds: &[&["AKIA", "ABCDEFGHIJKLMNOP"]],
        leaves: &["AKIAshort", "the ASIA region"],
    },
    Known {
        name: "github-token",
        regex: r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
        needs: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        in_line: true,
        finds: &[
            &["ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"],
            &["github_pat_", "11ABCDEFGHIJKLMNOPQRST"],
        ],
        leaves: &["ghp_short"],
    },
    Known {
        name: "gitlab-token",
        regex: r"\bglpat-[A-Za-z0-9_-]{20,}",
        needs: &["glpat-"],
        in_line: true,
        finds: &[&["glpat-", "abcdefghijklmnopqrst"]],
        leaves: &["glpat-short"],
    },
    Known {
        name: "slack-token",
        regex: r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        needs: &["xox"],
        in_line: true,
        finds: &[&["xoxb-", "1234567890-abcdefghij"]],
        leaves: &["xoxo"],
    },
    Known {
        name: "stripe-key",
        regex: r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
        needs: &["k_live_", "k_test_"],
        in_line: true,
        finds: &[&["sk_live_", "abcdefghijklmnop"]],
        leaves: &["task_live_demo"],
    },
    Known {
        name: "google-key",
        regex: r"\bAIza[0-9A-Za-z_-]{35}",
        needs: &["AIza"],
        in_line: true,
        finds: &[&["AIza", "abcdefghijklmnopqrstuvwxyz012345678"]],
        leaves: &["AIza"],
    },
    Known {
        name: "model-key",
        regex: r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}",
        needs: &["sk-"],
        in_line: true,
        finds: &[&["sk-", "ant-abcdefghijklmnopqrst"]],
        leaves: &["task-list", "risk-averse"],
    },
    Known {
        name: "package-token",
        regex: r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,})",
        needs: &["npm_", "pypi-"],
        in_line: true,
        finds: &[&["npm_", "abcdefghijklmnopqrstuvwxyz0123456789"]],
        leaves: &["npm_config"],
    },
    Known {
        name: "jwt",
        regex: r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        needs: &["eyJ"],
        in_line: true,
        finds: &[&["eyJhbGciOiJI", ".eyJzdWIiOiIx", ".c2lnbmF0dXJl"]],
        leaves: &["eyJhbGciOiJI"],
    },
    Known {
        name: "url-password",
        regex: r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:(?<secret>[^/\s@]+)@",
        needs: &["://"],
        in_line: true,
        finds: &[&["postgres://shop:", "hunter2@db.example/orders"]],
        leaves: &[
            "see https://example.org:8080/a@b",
            "ssh://git@example.org/x",
        ],
    },
    Known {
        name: "authorization",
        regex: r"(?i)\b(?:bearer|basic)\s+(?<secret>[A-Za-z0-9._~+/=-]{16,})",
        needs: &["bearer", "basic"],
        in_line: true,
        finds: &[&["Authorization: Bearer ", "abcdefghijklmnopqrst"]],
        leaves: &["the bearer of this letter", "basic training"],
    },
    Known {
        name: "password",
        regex: r#"(?i)\b(?:password|passwd|secret|api[_-]?key|access[_-]?token)["']?\s*[:=]\s*["']?(?<secret>[^\s"',;&]{4,})"#,
        needs: &["passw", "secret", "api", "access"],
        in_line: true,
        finds: &[
            &["mysql --password=", "hunter2"],
            &["\"api_key\": \"", "k-12345\""],
        ],
        leaves: &["password reset: ok", "the secret is out"],
    },
];
