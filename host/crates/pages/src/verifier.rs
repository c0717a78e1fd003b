//! The verifier in one HTML file, which makes no request: the core as WebAssembly, a form, and what shows the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::context;
use minijinja::value::Value;
use sha2::{Digest, Sha256};

use super::{LayoutError, STYLE, environment};

/// The core that checks proofs, as WebAssembly that needs no imports.
pub const VERIFIER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/verifier.wasm"));

const PAGE: &str = include_str!("verifier.html");
const FORM: &str = include_str!("verifier-form.html");
const FORM_STYLE: &str = include_str!("verifier.css");
const SCRIPT: &str = include_str!("verifier.js");

/// The verifier in one file.
#[derive(Clone, Debug)]
pub struct VerifierPage {
    /// The page.
    pub html: String,
    /// The SHA-256 of the page in hexadecimal digits.
    pub sha256: String,
}

impl VerifierPage {
    /// The page of this version of the program. The same version always gives the same bytes.
    ///
    /// # Errors
    ///
    /// The page's template is wrong.
    pub fn new(version: &str) -> Result<VerifierPage, LayoutError> {
        let mut environment = environment();
        environment.add_template("page", PAGE)?;
        let style = format!("{STYLE}{FORM_STYLE}");
        let verbatim = |text: &str| Value::from_safe_string(text.to_owned());
        let digest = |text: &str| verbatim(&STANDARD.encode(Sha256::digest(text)));
        // The policy allows this script and this style, by digest: injected text could not style, load or run anything.
        let html = environment.get_template("page")?.render(context! {
            version,
            form => verbatim(FORM),
            script_digest => digest(SCRIPT),
            script => verbatim(SCRIPT),
            style_digest => digest(&style),
            style => verbatim(&style),
            core => verbatim(&STANDARD.encode(VERIFIER)),
        })?;
        let digest = Sha256::digest(&html);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(VerifierPage { html, sha256 })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::VerifierPage;

    #[test]
    fn the_page_is_one_file_of_less_than_a_megabyte_that_names_no_other() {
        let page = VerifierPage::new("1.2.3").unwrap();
        assert!(page.html.len() < 1_000_000, "{}", page.html.len());
        for word in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            assert!(!page.html.contains(word), "{word}");
        }
        assert_eq!(page.sha256.len(), 64);
        assert_eq!(page.html, VerifierPage::new("1.2.3").unwrap().html);
    }
}
