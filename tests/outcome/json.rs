//! The rules for any JSON, and the positions of violations.

use chiffon_audit_cli::outcome::json::validate;

#[track_caller]
fn check(text: &str, expected: Option<(&str, &str)>) {
    let found = validate(text, 64).err();
    let found = found
        .as_ref()
        .map(|violation| (violation.pointer.as_str(), violation.message.as_str()));
    assert_eq!(
        found,
        expected,
        "{}",
        text.chars().take(200).collect::<String>()
    );
}

#[test]
fn every_json_value_is_accepted() {
    for text in [
        "null",
        "true",
        " 1 ",
        "\"\"",
        "[]",
        "{}",
        "1.0E+2",
        "-0",
        "1.7976931348623157e308",
        "-1.7976931348623157E+308",
        "5e-324",
        "123456789012345678901234567890",
        r#""\ud83d\ude00\u0000""#,
        r#"{"a":1,"b":{"a":2},"":[{"a":3}]}"#,
        r#"{"$serde_json::private::Number":"12"}"#,
        r#"{"$serde_json::private::RawValue":"1"}"#,
        r#"[{"$serde_json::private::Number":12},{"$serde_json::private::RawValue":{}}]"#,
    ] {
        check(text, None);
    }
}

#[test]
fn the_first_offence_is_named_by_its_place() {
    let column = |column: usize, message: &str| format!("{message} (line 1, column {column})");
    for (text, pointer, message) in [
        (r#"{"a":1,"a":2}"#, "/a", "duplicate key".to_owned()),
        (
            r#"{"x":{"a":1,"\u0061":2}}"#,
            "/x/a",
            "duplicate key".to_owned(),
        ),
        (
            r#"{"a/b":[0,{"~":1,"~":2}]}"#,
            "/a~1b/1/~0",
            "duplicate key".to_owned(),
        ),
        (
            r#"{"a":[1,1e999]}"#,
            "/a/1",
            column(
                13,
                "holds a number that is not finite as a double; set outcome.non_finite to null or string to take it",
            ),
        ),
        (
            r#"{"a":-1e999}"#,
            "/a",
            column(
                11,
                "holds a number that is not finite as a double; set outcome.non_finite to null or string to take it",
            ),
        ),
        (
            r#"{"a":NaN}"#,
            "/a",
            column(
                6,
                "must not hold NaN or Infinity: JSON has no such numbers; set outcome.non_finite to null or string to take them",
            ),
        ),
        (
            r#"{"a":-Infinity}"#,
            "/a",
            column(
                7,
                "must not hold NaN or Infinity: JSON has no such numbers; set outcome.non_finite to null or string to take them",
            ),
        ),
        (
            r#"{"a":Infinity}"#,
            "/a",
            column(
                6,
                "must not hold NaN or Infinity: JSON has no such numbers; set outcome.non_finite to null or string to take them",
            ),
        ),
        (
            r#"{"a":"\ud800"}"#,
            "/a",
            column(13, "holds a lone surrogate"),
        ),
        (
            r#"{"a":"\udc00"}"#,
            "/a",
            column(12, "holds a lone surrogate"),
        ),
        (
            r#"{"a":"\ud800\u0061"}"#,
            "/a",
            column(18, "holds a lone surrogate"),
        ),
        (r#"{"a":1} x"#, "", column(9, "has something after its end")),
        (r#"{"a":1}{}"#, "", column(8, "has something after its end")),
        (r#"{"a":1,}"#, "", column(8, "is not JSON: trailing comma")),
        (
            r#"{"a":01}"#,
            "/a",
            column(7, "is not JSON: invalid number"),
        ),
        (
            "{\"a\":\"\u{1}\"}",
            "/a",
            column(
                7,
                "is not JSON: control character (\\u0000-\\u001F) found while parsing a string",
            ),
        ),
        (
            r#"{'a':1}"#,
            "",
            column(2, "is not JSON: key must be a string"),
        ),
        (
            r#"{"a":"#,
            "/a",
            column(5, "is not JSON: EOF while parsing a value"),
        ),
    ] {
        check(text, Some((pointer, &message)));
    }
}

#[test]
fn depth_is_counted_from_the_whole_document() {
    check(&format!("{}{}", "[".repeat(64), "]".repeat(64)), None);
    let pointer = "/0".repeat(64);
    check(
        &"[".repeat(65),
        Some((&pointer, "is nested deeper than 64 levels")),
    );
    check(
        &"[".repeat(100_000),
        Some((&pointer, "is nested deeper than 64 levels")),
    );
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    check(
        &objects,
        Some((&"/a".repeat(64), "is nested deeper than 64 levels")),
    );
}

#[test]
fn duplicates_are_found_among_many_members() {
    for count in [15, 16, 17, 18, 1000] {
        let mut text: String = (0..count)
            .map(|index| format!("\"k{index}\":{index},"))
            .collect();
        text = format!("{{{text}");
        check(&format!("{text}\"z\":0}}"), None);
        for duplicate in [0, count - 1] {
            let pointer = format!("/k{duplicate}");
            check(
                &format!("{text}\"k{duplicate}\":0}}"),
                Some((&pointer, "duplicate key")),
            );
        }
    }
}

#[test]
fn a_pointer_that_would_be_too_long_names_the_enclosing_value() {
    let text = format!(r#"{{"a":{{"{0}":{{"b":1,"b":2}}}}}}"#, "x".repeat(1100));
    check(&text, Some(("/a", "duplicate key")));
}

proptest::proptest! {
    /// Compared with the library's parser, on texts that are nearly JSON: nothing panics, and the results differ only
    /// by our additional rules.
    #[test]
    fn what_is_accepted_is_json(text in r#"[\[\]{},: "ab0-9eE.+\\u\-nultrfs]{0,24}"#) {
        let ours = validate(&text, 64);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let only_ours = ours.as_ref().is_err_and(|violation| violation.message == "duplicate key");
        proptest::prop_assert!(ours.is_ok() == theirs.is_ok() || only_ours, "{:?} {:?}", ours, theirs);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = chiffon_audit_cli::outcome::TaskOutcome::parse(&bytes, &chiffon_audit_cli::outcome::Limits::default());
        let _ = chiffon_audit_cli::outcome::TaskOutcome::recover_task_id(&bytes);
    }
}
