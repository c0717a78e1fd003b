//! The names of log targets in a filter: names from before the host was split into crates still work.

/// Modules that have become crates, each with the target of its log lines.
const CRATES: &[(&str, &str)] = &[
    ("binding", "chiffon_audit_service::binding"),
    ("checkpoint", "chiffon_audit_checkpoint"),
    ("cli", "chiffon_audit_cli::cli"),
    ("config", "chiffon_audit_cli::config"),
    ("http", "chiffon_audit_http"),
    ("orchestrator", "chiffon_audit_service::orchestrator"),
    ("outcome", "chiffon_audit_outcome"),
    ("policies", "chiffon_audit_recorder::policies"),
    ("policy", "chiffon_audit_policy_host"),
    ("reconcile", "chiffon_audit_service::reconcile"),
    ("recorder", "chiffon_audit_recorder"),
    ("reports", "chiffon_audit_reports"),
    ("store", "chiffon_audit_store"),
    ("trail", "chiffon_audit_trail"),
    ("verify", "chiffon_audit_verify"),
];

/// The filter with the targets that log lines have now: `chiffon_audit::http=debug` becomes `chiffon_audit_http=debug`.
pub(super) fn current(filter: &str) -> String {
    let directives = filter.split(',').map(|directive| {
        let Some(rest) = directive.trim_start().strip_prefix("chiffon_audit::") else {
            return directive.to_owned();
        };
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        match CRATES.iter().find(|(module, _)| *module == &rest[..end]) {
            Some((_, target)) => format!("{target}{}", &rest[end..]),
            None => directive.to_owned(),
        }
    });
    directives.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::current;

    #[test]
    fn a_filter_of_before_means_what_it_meant() {
        let check =
            |filter: &str, expected: &str| assert_eq!(current(filter), expected, "{filter}");
        check(
            "info,chiffon_audit::http=debug",
            "info,chiffon_audit_http=debug",
        );
        check(
            "warn, chiffon_audit::trail::writer=trace",
            "warn,chiffon_audit_trail::writer=trace",
        );
        check(
            "chiffon_audit::cli=debug,info",
            "chiffon_audit_cli::cli=debug,info",
        );
        check(
            "info,chiffon_audit::access=off",
            "info,chiffon_audit::access=off",
        );
        check("chiffon_audit=debug", "chiffon_audit=debug");
        check("info", "info");
    }
}
