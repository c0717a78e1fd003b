//! Outcomes as real tasks report them, where policies that rewrite go wrong: long texts with addresses, tokens and markers
//! of other policies in them, numbers of any length, and nested lists of all of these.
//!
//! The same random numbers make the same outcomes on every machine.

use fastrand::Rng;

/// The longest text in bytes: beyond every bound that a policy is likely to have, so that its cut falls anywhere.
const LONGEST: usize = 20_000;

/// What stands in texts that a policy may want to replace, or has replaced already.
const PIECES: &[&str] = &[
    "mara@example.com",
    "\\\"Mara O'Neil\\\" <mara.oneil+jobs@mail.example.co.uk>",
    "https://shop:hunter2@db.example.com:5432/orders?sslmode=require",
    "postgres://shop:hunter2@db/orders",
    "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYXJhIn0.c2lnbmF0dXJl",
    "password=hunter2",
    "api_key: \\\"0123456789abcdef0123456789abcdef\\\"",
    "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq\\n-----END PRIVATE KEY-----",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "192.0.2.17",
    "2001:db8::1",
    "[redacted]",
    "[redacted:url-password]",
    "[redacted:",
    "\\n[4711 of 20000 bytes left out; sha256:",
    "[0 of 0 bytes left out; sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 of all]",
    "Zürich, 東京, القاهرة",
    "\u{1f680}",
    "line of output\\n",
    "\\tat com.example.Main.run(Main.java:17)\\n",
    "words and more words ",
];

const NAMES: &[&str] = &[
    "output", "log", "stderr", "email", "to", "password", "token", "secret", "card", "url", "n",
    "items",
];

/// A JSON value of `execution_result.outcome` or `metadata`.
pub(super) fn object(random: &mut Rng) -> String {
    let members: Vec<String> = (0..random.usize(1..5))
        .map(|at| {
            let name = NAMES[random.usize(..NAMES.len())];
            format!("\"{name}{at}\":{}", value(random, 4))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

fn value(random: &mut Rng, depth: usize) -> String {
    match random.u8(..if depth == 0 { 4 } else { 8 }) {
        0 => number(random),
        1 => format!("\"{}\"", PIECES[random.usize(..PIECES.len())]),
        2 => {
            // A member whose name says that it is a secret.
            let name = NAMES[random.usize(..NAMES.len())];
            format!("{{\"{name}\":{}}}", text(random))
        }
        3 | 4 => text(random),
        5 => format!("{{\"a\":{}}}", value(random, depth - 1)),
        _ => {
            let items: Vec<String> = (0..random.usize(..5))
                .map(|_| value(random, depth - 1))
                .collect();
            format!("[{}]", items.join(","))
        }
    }
}

/// A text of pieces, now and then a long one.
fn text(random: &mut Rng) -> String {
    let most = match random.u8(..6) {
        0 => random.usize(..2_000),
        1 if random.u8(..3) == 0 => random.usize(..LONGEST),
        _ => random.usize(..200),
    };
    let mut text = String::from("\"");
    while text.len() < most {
        // Repeated, so that whatever is cut is cut within one of them.
        let piece = PIECES[random.usize(..PIECES.len())];
        for _ in 0..random.usize(1..30) {
            if text.len() >= most {
                break;
            }
            text += piece;
            text += ["", " ", "\\n"][random.usize(..3)];
        }
    }
    text.push('"');
    text
}

/// Numbers that a decoder of doubles changes.
fn number(random: &mut Rng) -> String {
    let digits: String = (0..random.usize(1..40))
        .map(|_| char::from(b'1' + random.u8(..9)))
        .collect();
    match random.u8(..4) {
        0 => digits,
        1 => format!("-{digits}.{digits}0"),
        2 => format!("{}.50E+{}", &digits[..1], random.u8(..200)),
        _ => format!("{digits}.0"),
    }
}
