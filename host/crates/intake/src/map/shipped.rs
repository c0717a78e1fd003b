//! The maps that come with the host, each with cases after the system's documented format.

use super::Map;

/// A map that comes with the host.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name, as `--from` takes it.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Its cases.
    pub cases: &'static str,
}

impl Shipped {
    /// The map.
    pub fn map(&self) -> Map {
        Map::parse(self.text).expect("a test parses every shipped map")
    }
}

macro_rules! maps {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../maps/", $name, ".toml")),
            cases: include_str!(concat!("../../maps/", $name, ".test.toml")),
        }),*]
    };
}

/// All maps that come with the host, by name.
pub fn shipped() -> &'static [Shipped] {
    maps![
        "airflow",
        "argo",
        "celery",
        "claude-code",
        "cloudevents",
        "dagster",
        "github",
        "gitlab",
        "langgraph",
        "openai-agents",
        "openlineage",
        "prefect",
        "temporal",
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::{Case, Map, run_cases};
    use super::shipped;

    #[test]
    fn every_shipped_map_passes_its_cases() {
        let mut failures = Vec::new();
        for shipped in shipped() {
            let map = match Map::parse(shipped.text) {
                Ok(map) => map,
                Err(error) => {
                    failures.push(format!("{}: {error}", shipped.name));
                    continue;
                }
            };
            assert_eq!(map.source, shipped.name);
            // Every system reports the same end again with another detail; `--from` looks for this line.
            assert!(
                map.echoes() && shipped.text.contains("\necho = true"),
                "{}",
                shipped.name
            );
            let cases = Case::parse_all(shipped.cases)
                .unwrap_or_else(|error| panic!("{}: {error}", shipped.name));
            assert!(cases.len() > 1, "{} has too few cases", shipped.name);
            for finding in run_cases(&map, &cases) {
                for problem in finding.problems {
                    failures.push(format!("{}: {}: {problem}", shipped.name, finding.name));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn a_map_of_one_record_or_many_gives_the_same_outcomes() {
        let airflow = shipped()
            .iter()
            .find(|shipped| shipped.name == "airflow")
            .unwrap()
            .map();
        let one = r#"{"dag_id":"d","dag_run_id":"r","task_id":"t","state":"success","try_number":1,"map_index":-1}"#;
        let documents = |text: &str| {
            let items = airflow.apply(text).into_iter();
            items
                .map(|item| match item.kind {
                    super::super::ItemKind::Outcome(mapped) => mapped.document,
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
        };
        let single = documents(one);
        assert_eq!(
            documents(&format!(
                r#"{{"task_instances":[{one}],"total_entries":1}}"#
            )),
            single
        );
        assert_eq!(
            documents(&format!("[{one},{one}]")),
            [single.clone(), single].concat()
        );
    }
}
