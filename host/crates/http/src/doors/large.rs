//! Bodies that are larger than an outcome may be: long texts are shortened while they arrive, in bounded memory.

use axum::body::Bytes;
use futures_util::StreamExt as _;
use intake::treat::{Rules, Treated, Treatment};
use tokio::time::timeout;

use super::sent::BATCH_BYTES;
use crate::App;
use crate::body::{Beginning, too_large};
use crate::problem::{Kind, Problem};

/// Reads the rest of a document of at most `outcome.accept_max_bytes` bytes, and shortens its texts by these rules. What
/// is left may have at most `most` bytes.
pub async fn shorten(
    app: &App,
    beginning: Beginning,
    rules: Rules,
    most: usize,
) -> Result<Treated, Problem> {
    let limits = app.limits.now();
    let accepted = limits.door.most_bytes();
    let mut treatment = Treatment::new(rules);
    read(app, beginning, accepted, |part| {
        treatment.push(part);
        match treatment.len() > most {
            true => Err(Problem::with_detail(
                Kind::TooLarge,
                "even without its long texts it is larger than an outcome may be",
            )),
            false => Ok(()),
        }
    })
    .await?;
    Ok(treatment.finish())
}

/// Reads the rest of an array of documents.
pub async fn array(app: &App, beginning: Beginning) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    read(app, beginning, BATCH_BYTES, |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .await?;
    Ok(bytes.into())
}

async fn read(
    app: &App,
    beginning: Beginning,
    most: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Beginning {
        bytes,
        mut rest,
        reservation: _reservation,
    } = beginning;
    let reading = async {
        let mut length = bytes.len();
        take(&bytes)?;
        drop(bytes);
        while let Some(part) = rest.next().await {
            let part = part
                .map_err(|_| Problem::with_detail(Kind::Malformed, "the body ended too early"))?;
            length += part.len();
            if length > most {
                return Err(too_large(most));
            }
            take(&part)?;
        }
        Ok(())
    };
    let time = app.limits.now().body_time;
    match timeout(time, reading).await {
        Ok(done) => done,
        Err(_) => {
            let detail = format!("the body must arrive within {} s", time.as_secs());
            Err(Problem::with_detail(Kind::TooSlow, detail))
        }
    }
}
