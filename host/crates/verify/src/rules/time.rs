//! The canonical form of an entry's timestamp.

/// How long an entry may be dated before its commit, in seconds. After a longer wait the writer decides again.
pub(crate) const MAX_ENTRY_AGE: i64 = 60;

/// The same limit for older writers: an entry could wait until another machine's clock caught up, or for a policy, but
/// less than an hour.
pub(crate) const MAX_ENTRY_AGE_BEFORE_RULE: i64 = 3600;

/// Parses `YYYY-MM-DDThh:mm:ss.ffffffZ` as seconds since 1970; `None` for any other text.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00.000000Z";
    let fits = |(byte, form): (&u8, &u8)| {
        if *form == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == form
        }
    };
    if bytes.len() != shape.len() || !bytes.iter().zip(shape).all(fits) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        bytes[range]
            .iter()
            .fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 0000-03-01, so that a leap day is the last of its year.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let since_march = years * 365 + years.div_euclid(4) - years.div_euclid(100)
        + years.div_euclid(400)
        + (153 * months + 2) / 5
        + day
        - 1;
    Some((since_march - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn timestamps_are_read_in_one_form_only() {
        let check = |text, expect| assert_eq!(seconds(text), expect, "{text}");
        check("1970-01-01T00:00:00.000000Z", Some(0));
        check("2000-02-29T23:59:59.999999Z", Some(951_868_799));
        check("2026-01-02T03:04:05.678901Z", Some(1_767_323_045));
        check("2100-02-29T00:00:00.000000Z", None);
        check("2026-13-01T00:00:00.000000Z", None);
        check("2026-01-02T03:04:60.000000Z", None);
        check("2026-01-02T03:04:05.678Z", None);
        check("2026-01-02T03:04:05.678901+00:00", None);
        check("2026-01-02 03:04:05.678901Z", None);
    }
}
