//! Signatures of commits: whether a key that was allowed at that time signed these bytes. Parses git's and OpenSSH's
//! formats, and shares no code with the writer.

mod allowed;
#[cfg(feature = "repository")]
mod armour;
#[cfg(feature = "repository")]
mod openpgp;
mod pattern;
mod split;
mod sshsig;
mod time;

pub(crate) use allowed::AllowedSigners;
use allowed::Denied;
#[cfg(feature = "repository")]
pub(crate) use openpgp::KeyRing;
use sshsig::{InvalidSignature, NAMESPACE};
pub(crate) use time::show as show_time;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::quote::quote;
use super::report::{Claim, Verdict};

/// The claim in words.
pub(crate) const TITLE: &str = "signed by a key that was allowed";

/// The claim if no signers are given.
pub(crate) fn claim_without_signers(is_asked: bool) -> Claim {
    let verdict = match is_asked {
        false => Verdict::NotAsked {
            why: "nothing here shows who wrote this",
        },
        true => Verdict::NotShown {
            missing: "whose signatures count; `--allowed-signers FILE` says so".to_owned(),
        },
    };
    Claim::new("signatures", TITLE, verdict)
}

/// The keys whose signatures count.
#[derive(Default)]
pub(crate) struct Signers {
    /// The SSH keys.
    pub(crate) allowed: AllowedSigners,
    /// The OpenPGP keys.
    #[cfg(feature = "repository")]
    pub(crate) openpgp: Option<KeyRing>,
}

impl Signers {
    /// Signers with SSH keys alone.
    pub(crate) fn with_ssh_keys(allowed: AllowedSigners) -> Signers {
        Signers {
            allowed,
            #[cfg(feature = "repository")]
            openpgp: None,
        }
    }
}

/// The verdict on one commit's signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement<'a> {
    /// These signers were allowed to sign, and did.
    Signed(Cow<'a, str>),
    /// The commit has no signature.
    Unsigned,
    /// The signature does not count.
    Broken(String),
    /// Something is missing to check it.
    NotShown(String),
}

/// The program's verdict on a signature in canonical form. If the form is wrong, another verdict of the program takes
/// precedence.
#[cfg(feature = "repository")]
fn judged_and_checked(
    ring: &KeyRing,
    signed: &split::Signed,
    seconds: i64,
) -> Result<Judgement<'static>, armour::ArmourFault> {
    let judgement = ring.judge(&signed.payload, &signed.signature, seconds);
    if let Judgement::Signed(_) = judgement {
        armour::check(&signed.signature, &signed.payload)?;
    }
    Ok(judgement)
}

/// Judges an OpenPGP signature with the given keys, if there are any.
#[cfg(feature = "repository")]
fn judge_openpgp(signers: &Signers, signed: &split::Signed, seconds: i64) -> Judgement<'static> {
    let Some(ring) = &signers.openpgp else {
        return Judgement::NotShown(NO_OPENPGP_KEYS.to_owned());
    };
    match judged_and_checked(ring, signed, seconds) {
        Ok(judgement) => judgement,
        Err(armour::ArmourFault::Broken(why)) => Judgement::Broken(format!(
            "its OpenPGP signature is not in canonical form: {why}"
        )),
        Err(armour::ArmourFault::Other(why)) => {
            Judgement::NotShown(format!("whether its OpenPGP signature is unchanged: {why}"))
        }
    }
}

/// OpenPGP signatures need a program, which the core cannot run.
#[cfg(not(feature = "repository"))]
fn judge_openpgp(_: &Signers, _: &split::Signed, _: i64) -> Judgement<'static> {
    Judgement::NotShown(NO_OPENPGP_KEYS.to_owned())
}

const NO_OPENPGP_KEYS: &str =
    "who made its OpenPGP signature; `--openpgp-keys` gives the allowed keys";

/// The keys whose signatures of files count.
#[derive(Debug)]
pub struct FileSigners(AllowedSigners);

impl FileSigners {
    /// Reads a file of allowed signers, in OpenSSH's form, as git uses it.
    ///
    /// # Errors
    ///
    /// Names the malformed line.
    pub fn parse(text: &str) -> Result<FileSigners, String> {
        AllowedSigners::parse(text).map(FileSigners)
    }

    /// Allows the key that made this signature, and no other. [`check`](Self::check) then says whether the signature was made for a
    /// file, and not whether it counts.
    ///
    /// # Errors
    ///
    /// The signature is malformed.
    pub fn of_signature(signature: &[u8]) -> Result<FileSigners, String> {
        let signature = sshsig::parse(signature)
            .map_err(|why| format!("its SSH signature is malformed: {why}"))?;
        let kind = String::from_utf8_lossy(sshsig::kind(&signature.key));
        let key = STANDARD.encode(&signature.key);
        FileSigners::parse(&format!("* {kind} {key}"))
    }

    /// Checks an SSH signature of a file's bytes, as `ssh-keygen -Y sign -n git` makes it, at this time in seconds since 1970. Returns
    /// the names of the signer.
    ///
    /// # Errors
    ///
    /// Why the signature does not count.
    pub fn check(&self, contents: &[u8], signature: &[u8], seconds: i64) -> Result<String, String> {
        let what = SignedSubject {
            it: "the file",
            moment: "the time now is",
            edited: "the file changed",
        };
        match judge_ssh(&self.0, contents, signature, seconds, &what) {
            Judgement::Signed(who) => Ok(who.into_owned()),
            Judgement::Broken(why) => Err(why),
            Judgement::NotShown(missing) => Err(format!("it is not shown {missing}")),
            Judgement::Unsigned => Err("its key is not an allowed signer's".to_owned()),
        }
    }
}

/// Judges the signature of a commit with these bytes and this time.
pub(crate) fn judge<'a>(
    signers: &'a Signers,
    commit: &[u8],
    seconds: i64,
    sha256: bool,
) -> Judgement<'a> {
    let signed = match split::split(commit, sha256) {
        Ok(Some(signed)) => signed,
        Ok(None) => return Judgement::Unsigned,
        Err(why) => return Judgement::Broken(why.to_owned()),
    };
    if signed
        .signature
        .starts_with(b"-----BEGIN PGP SIGNATURE-----")
    {
        return judge_openpgp(signers, &signed, seconds);
    }
    if !signed.signature.starts_with(sshsig::BEGIN) {
        return Judgement::Broken("its signature has an unknown format".to_owned());
    }
    let what = SignedSubject {
        it: "it",
        moment: "the commit is of",
        edited: "the commit edited",
    };
    judge_ssh(
        &signers.allowed,
        &signed.payload,
        &signed.signature,
        seconds,
        &what,
    )
}

/// The words for what is signed, in a reason why a signature does not count.
struct SignedSubject {
    it: &'static str,
    /// What the time of the check is.
    moment: &'static str,
    edited: &'static str,
}

/// Judges an SSH signature of these bytes by a key that must be allowed at that time.
fn judge_ssh<'a>(
    signers: &'a AllowedSigners,
    payload: &[u8],
    armoured: &[u8],
    seconds: i64,
    what: &SignedSubject,
) -> Judgement<'a> {
    let SignedSubject { it, moment, edited } = what;
    let signature = match sshsig::parse(armoured) {
        Ok(signature) => signature,
        Err(why) => return Judgement::Broken(format!("its SSH signature is malformed: {why}")),
    };
    let fingerprint = || sshsig::fingerprint(&signature.key);
    // The key is looked up first: the signature of a key that is not allowed need not be checked.
    let who = match signers.allows(&signature.key, seconds) {
        Ok(who) => who,
        Err(Denied::Unknown) => {
            return Judgement::Broken(format!(
                "{it} is signed by {}, which is not an allowed signer's key",
                fingerprint()
            ));
        }
        Err(Denied::Revoked) => {
            return Judgement::Broken(format!(
                "{it} is signed by the revoked key {}",
                fingerprint()
            ));
        }
        Err(Denied::Namespace(list)) => {
            return Judgement::Broken(format!(
                "{it} is signed by {}, which is allowed for the namespaces {} and not for git",
                fingerprint(),
                quote(list.as_bytes())
            ));
        }
        Err(Denied::Time(window)) => {
            return Judgement::Broken(format!(
                "{it} is signed by {} outside its time: it is allowed {window}, and {moment} {}",
                fingerprint(),
                time::show(seconds)
            ));
        }
    };
    if signature.namespace != NAMESPACE {
        return Judgement::Broken(format!(
            "its signature by {} was made for another purpose: its namespace is {}, and git's is `git`",
            fingerprint(),
            quote(&signature.namespace)
        ));
    }
    let Some(key) = signers.key(&signature.key) else {
        return Judgement::Unsigned;
    };
    match signature.check(&key.public, payload) {
        Ok(()) => Judgement::Signed(who.into()),
        Err(InvalidSignature::Wrong) => Judgement::Broken(format!(
            "its signature is not that of {} over its bytes: it was forged, or {edited}",
            fingerprint()
        )),
        Err(InvalidSignature::Unknown(why)) => {
            Judgement::NotShown(format!("whether its signature is good: {why}"))
        }
    }
}
