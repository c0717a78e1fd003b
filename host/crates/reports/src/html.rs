//! The report as one self-contained HTML page: no script, and no font or picture from elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, context};
use sha2::{Digest, Sha256};

use ::pages::{STYLE, visible};

use super::LayoutError;
use super::facts::Facts;
use super::picture;

const PAGE: &str = include_str!("page.html");

/// Renders the page.
///
/// # Errors
///
/// The page's template is wrong; no contents of an entry can cause that.
pub fn html(facts: &Facts) -> Result<String, LayoutError> {
    let mut environment = Environment::new();
    // Everything from the repository is escaped, wherever it appears.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("grouped", picture::group_digits);
    environment.add_filter("visible", visible);
    environment.add_template("page", PAGE)?;
    let legend: Vec<_> = facts
        .statuses
        .iter()
        .enumerate()
        .map(|(place, status)| {
            context! {
                name => status.name.clone(),
                class => picture::class(&status.name, place),
                total => status.tally.total,
                share => picture::percentage(status.tally.total, facts.counted),
            }
        })
        .collect();
    let page = environment.get_template("page")?;
    // The policy allows only the page's own style, by digest: injected text could not style, load or run anything.
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    Ok(page.render(context! {
        facts => Value::from(Serde(facts)),
        style => Value::from_safe_string(STYLE.to_owned()),
        style_digest => digest,
        legend,
        chart => Value::from(Serde(picture::over_time(facts))),
        services => Value::from(Serde(picture::rows(&facts.services, facts, facts.counted))),
        pools => Value::from(Serde(picture::rows(&facts.pools, facts, facts.counted))),
        reporters => Value::from(Serde(picture::rows(&facts.reporters, facts, facts.counted))),
        reigns => Value::from(Serde(picture::policy_bars(facts))),
    })?)
}
