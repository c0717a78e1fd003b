//! How the sender of a webhook signs its requests.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::Hook;
use outcome::clock::Timestamp;
use outcome::digest::unhex;

/// How a sender signs its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks: HMAC over id, time and body.
    StandardWebhooks,
    /// GitHub: `X-Hub-Signature-256`, HMAC over the body.
    GitHub,
    /// GitLab: `X-Gitlab-Token`, the secret itself.
    GitLab,
}

/// How far a signature's time may be from now, in seconds: the window that Standard Webhooks proposes.
const MAX_CLOCK_SKEW: u64 = 300;

/// The most signatures of a request that are looked at: one for each secret, while secrets are replaced.
const MAX_SIGNATURES: usize = 16;

/// Why a signature is refused.
const INVALID: &str = "the signature is not valid for this body";

/// Checks a request's signature. Returns the delivery's id, if the sender gives one.
pub fn verified(
    hook: &Hook,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<String>, &'static str> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    match hook.scheme {
        Scheme::StandardWebhooks => {
            let (Some(id), Some(time), Some(signatures)) = (
                text("webhook-id"),
                text("webhook-timestamp"),
                text("webhook-signature"),
            ) else {
                return Err("send `webhook-id`, `webhook-timestamp` and `webhook-signature`");
            };
            let digits = time.bytes().all(|byte| byte.is_ascii_digit());
            let sent: Option<i64> = time.parse().ok().filter(|_| digits);
            let sent = sent.ok_or("`webhook-timestamp` is not a number of seconds")?;
            if now.seconds().abs_diff(sent) > MAX_CLOCK_SKEW {
                return Err("the signature's time is more than five minutes from now");
            }
            let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
            let given = signatures
                .split(' ')
                .filter_map(|signature| signature.strip_prefix("v1,"));
            let given = given.filter_map(|signature| STANDARD.decode(signature).ok());
            // The body is hashed once for each secret, however many signatures are given.
            let given: Vec<Vec<u8>> = given.take(MAX_SIGNATURES).collect();
            match is_signed(&hook.secrets, &signed, &given) {
                true => Ok(Some(id.to_owned())),
                false => Err(INVALID),
            }
        }
        Scheme::GitHub => {
            let given = text("x-hub-signature-256").and_then(|given| given.strip_prefix("sha256="));
            let given = given.and_then(unhex).ok_or("send `X-Hub-Signature-256`")?;
            match is_signed(&hook.secrets, body, &[given]) {
                true => Ok(text("x-github-delivery").map(str::to_owned)),
                false => Err(INVALID),
            }
        }
        Scheme::GitLab => {
            let given = text("x-gitlab-token").ok_or("send `X-Gitlab-Token`")?;
            let is_secret =
                |secret: &Vec<u8>| bool::from(secret.as_slice().ct_eq(given.as_bytes()));
            match hook.secrets.iter().any(is_secret) {
                true => {
                    let id = text("idempotency-key").or_else(|| text("x-gitlab-event-uuid"));
                    Ok(id.map(str::to_owned))
                }
                false => Err("the token is not known here"),
            }
        }
    }
}

fn is_signed(secrets: &[Vec<u8>], signed: &[u8], given: &[Vec<u8>]) -> bool {
    secrets.iter().any(|secret| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        mac.update(signed);
        // In constant time, so that its duration does not reveal how much of a guess was right.
        given
            .iter()
            .any(|given| mac.clone().verify_slice(given).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::Hook;
    use super::{Scheme, verified};
    use outcome::clock::Timestamp;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_example_of_standard_webhooks_is_valid_for_five_minutes() {
        // From the specification's reference libraries.
        let hook = Hook {
            scheme: Scheme::StandardWebhooks,
            secrets: vec![
                b"other".to_vec(),
                STANDARD
                    .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
                    .unwrap_or_default(),
            ],
            map: None,
        };
        let signed = headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1a,x v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ]);
        let body = br#"{"test": 2432232314}"#;
        let at = |seconds: i64| Timestamp::from_microseconds(seconds * 1_000_000);
        let id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned());
        assert_eq!(
            verified(&hook, &signed, body, at(1_614_265_330 + 300)),
            Ok(id)
        );
        assert!(verified(&hook, &signed, body, at(1_614_265_330 + 301)).is_err());
        assert!(verified(&hook, &signed, b"{}", at(1_614_265_330)).is_err());
        assert!(verified(&hook, &HeaderMap::new(), body, at(1_614_265_330)).is_err());
    }

    #[test]
    fn the_example_of_github_is_valid_for_its_body_alone() {
        let hook = Hook {
            scheme: Scheme::GitHub,
            secrets: vec![b"It's a Secret to Everybody".to_vec()],
            map: None,
        };
        let signed = headers(&[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )]);
        let now = Timestamp::from_microseconds(0);
        assert_eq!(verified(&hook, &signed, b"Hello, World!", now), Ok(None));
        assert!(verified(&hook, &signed, b"Hello, World?", now).is_err());
    }

    #[test]
    fn a_token_of_gitlab_is_compared_as_a_whole() {
        let hook = Hook {
            scheme: Scheme::GitLab,
            secrets: vec![b"s3cret".to_vec()],
            map: None,
        };
        let now = Timestamp::from_microseconds(0);
        assert!(verified(&hook, &headers(&[("x-gitlab-token", "s3cret")]), b"", now).is_ok());
        assert!(verified(&hook, &headers(&[("x-gitlab-token", "s3cre")]), b"", now).is_err());
    }
}
