//! Unusual outcomes, made by a grammar from a seed: each is well formed, and odd in many ways.
//!
//! The same seed makes the same outcomes on every machine.

use super::samples::Sample;
use super::texts;
use fastrand::Rng;
use outcome::Limits;

/// The deepest nesting below `execution_result.outcome`. With the two levels above, this is the depth that the
/// interface allows.
const DEPTH: usize = 62;

/// The longest list and the largest number of members, unless a value is large on purpose.
const WIDTH: usize = 6;

/// Generates outcomes from a seed.
pub(super) struct Grammar {
    random: Rng,
    seed: u64,
    limits: Limits,
    number: u32,
}

impl Grammar {
    pub fn new(seed: u64, limits: &Limits) -> Grammar {
        Grammar {
            random: Rng::with_seed(seed),
            seed,
            limits: limits.clone(),
            number: 0,
        }
    }

    /// Generates the next outcome.
    pub fn next(&mut self) -> Sample {
        loop {
            self.number += 1;
            let document = self.document();
            let name = format!("for hostile outcome {} of seed {}", self.number, self.seed);
            // A grammar that knew every rule of the parser would be a second parser, so refused documents are skipped.
            if let Some(sample) = Sample::new(name, document, &self.limits) {
                return sample;
            }
        }
    }

    fn document(&mut self) -> String {
        let mut members = vec![
            format!("\"task_id\":\"{}\"", self.task_id()),
            format!(
                "\"status\":\"{}\"",
                self.pick(&["completed", "failed", "rejected", "cancelled"])
            ),
        ];
        if self.random.bool() {
            members.push(format!("\"plan_id\":{}", self.text_or_null()));
        }
        if self.random.bool() {
            members.push(format!("\"plan_steps\":{}", self.texts()));
        }
        if self.random.bool() {
            members.push(format!(
                "\"dispatch_info\":{{\"agent_pool\":{},\"agent_id\":{}}}",
                self.text_or_null(),
                self.text_or_null()
            ));
        }
        // A quarter is what real tasks report.
        if self.random.u8(..4) == 0 {
            let (outcome, metadata) = (
                texts::object(&mut self.random),
                texts::object(&mut self.random),
            );
            members.push(format!("\"execution_result\":{{\"outcome\":{outcome}}}"));
            members.push(format!("\"metadata\":{metadata}"));
            return format!("{{{}}}", members.join(","));
        }
        if self.random.u8(..4) > 0 {
            let (outcome, resources) = (self.large_value(), self.value(3));
            members.push(format!(
                "\"execution_result\":{{\"resources_used\":{resources},\"outcome\":{outcome},\"services_touched\":{}}}",
                self.texts()
            ));
        }
        if self.random.bool() {
            members.push(format!("\"metadata\":{}", self.object(3)));
        }
        self.random.shuffle(&mut members);
        let space = self.pick(&["", " ", "\n\t", "\r\n  "]);
        format!("{{{space}{}{space}}}", members.join(&format!(",{space}")))
    }

    fn task_id(&mut self) -> String {
        let first = b"abcXYZ0189";
        let rest = b"abcXYZ0189-_.";
        let mut id = String::new();
        let length = if self.random.u8(..8) == 0 {
            128
        } else {
            self.random.usize(1..24)
        };
        for at in 0..length {
            let from: &[u8] = if at == 0 || id.ends_with('.') {
                first
            } else {
                rest
            };
            id.push(char::from(from[self.random.usize(..from.len())]));
        }
        id
    }

    /// Generates a value; occasionally it is very large or deep.
    fn large_value(&mut self) -> String {
        match self.random.u8(..40) {
            0 => format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
            1 => format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH)),
            2 => format!("\"{}\"", "\\u0001".repeat(self.random.usize(..20_000))),
            3 => format!("[{}0]", "0,".repeat(self.random.usize(..20_000))),
            4 => {
                let members: Vec<String> = (0..self.random.usize(..2_000))
                    .map(|at| format!("\"k{at}\":{{}}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
            5 => format!(
                "\"{}\"",
                "\u{1f680}\u{202e}".repeat(self.random.usize(..5_000))
            ),
            6 => format!(
                "{}.{}",
                "9".repeat(300),
                "3".repeat(self.random.usize(1..3_000))
            ),
            _ => self.value(5),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        match self.random.u8(..if depth == 0 { 6 } else { 9 }) {
            0 => self.pick(&["null", "true", "false"]).to_owned(),
            1 => self.number(),
            2..=5 => self.text(),
            6 => self.object(depth - 1),
            _ => {
                let items: Vec<String> = (0..self.random.usize(..WIDTH))
                    .map(|_| self.value(depth - 1))
                    .collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// Generates an object. Keys are numbered, so that there are no duplicates.
    fn object(&mut self, depth: usize) -> String {
        let members: Vec<String> = (0..self.random.usize(..WIDTH))
            .map(|at| {
                let key = self.text();
                format!("{}{at}\" : {}", &key[..key.len() - 1], self.value(depth))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    fn number(&mut self) -> String {
        let numbers = [
            "0",
            "-0",
            "-0.0",
            "1e0",
            "1E+2",
            "0.1e-3",
            "9007199254740993",
            "18446744073709551616",
            "-9223372036854775809",
            "1.7976931348623157e308",
            "4.9e-324",
            "1e-400",
            "3.14000",
            "100000000000000000000000000000000000000000",
        ];
        self.pick(&numbers).to_owned()
    }

    fn text(&mut self) -> String {
        let parts = [
            "a",
            "task_id",
            "timestamp",
            "__proto__",
            "\\u0000",
            "\\n",
            "\\r\\n",
            "\\\"",
            "\\\\",
            "\\/",
            "\\u001b[2J",
            "\\u202e",
            "\\ud83d\\ude00",
            "\\uffff",
            "\u{fffd}",
            "\u{2028}",
            "\u{feff}",
            "e\u{301}",
            "\u{e9}",
            "ß",
            "İ",
            "{\\\"x\\\":1}",
            "]}",
            "../..",
            "${HOME}",
            "$(id)",
            "%s%n",
            "'; DROP TABLE entries;--",
            "<script>",
            "AKIAIOSFODNN7EXAMPLE",
            "password=hunter2",
            "\u{10ffff}",
            " ",
            "\\t",
        ];
        let mut text = String::from("\"");
        for _ in 0..self.random.usize(..5) {
            text += self.pick(&parts);
        }
        text.push('"');
        text
    }

    fn text_or_null(&mut self) -> String {
        if self.random.bool() {
            self.text()
        } else {
            "null".to_owned()
        }
    }

    fn texts(&mut self) -> String {
        let texts: Vec<String> = (0..self.random.usize(..WIDTH))
            .map(|_| self.text())
            .collect();
        format!("[{}]", texts.join(","))
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.random.usize(..from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Grammar;
    use outcome::Limits;

    #[test]
    fn a_seed_makes_the_same_outcomes_and_another_makes_others() {
        let made = |seed| {
            let mut grammar = Grammar::new(seed, &Limits::default());
            let documents: Vec<String> = (0..400).map(|_| grammar.next().document).collect();
            (documents, grammar.number)
        };
        let (documents, drawn) = made(1);
        assert_eq!(documents, made(1).0);
        assert_ne!(documents, made(2).0);
        // Most generated documents are outcomes, so the grammar does not waste time.
        assert!(drawn < 520, "{drawn}");
        let all = documents.concat();
        for part in [
            "[[[[[[[[",
            "\\u0000",
            "1E+2",
            "\u{202e}",
            "\"metadata\"",
            "[redacted:",
            "@example.com",
        ] {
            assert!(all.contains(part), "{part}");
        }
    }
}
