//! The core that a browser runs gives the same JSON as the command line, for good proofs and for bad ones.

use chiffon_audit_cli::pages::VERIFIER;
use chiffon_audit_cli::verifier::{self, Options};
use chiffon_audit_cli::verify::AuditResult;
use wasmtime::{Engine, Instance, Module, Store};

use super::place::Place;
use crate::support;

/// The core as WebAssembly. It gets nothing from outside: an instance without imports.
struct Core {
    engine: Engine,
    module: Module,
}

impl Core {
    fn new() -> Core {
        let engine = Engine::default();
        let module = Module::new(&engine, VERIFIER).unwrap();
        assert_eq!(module.imports().count(), 0);
        Core { engine, module }
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let mut store = Store::new(&self.engine, ());
        let instance = Instance::new(&mut store, &self.module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let mut call = |name: &str, argument: Option<i32>| {
            let function = instance.get_func(&mut store, name).unwrap();
            let mut results = [wasmtime::Val::I32(0)];
            let arguments: Vec<_> = argument.into_iter().map(wasmtime::Val::I32).collect();
            function.call(&mut store, &arguments, &mut results).unwrap();
            if name == "reserve" {
                let address = results[0].unwrap_i32() as u32 as usize;
                memory.write(&mut store, address, request).unwrap();
            }
            results[0].unwrap_i32() as u32 as usize
        };
        call("reserve", Some(i32::try_from(request.len()).unwrap()));
        let address = call("check", None);
        let length = call("answer_length", None);
        memory.data(&store)[address..][..length].to_vec()
    }
}

fn request(options: &Options, proof: &[u8]) -> Vec<u8> {
    let head = serde_json::to_vec(options).unwrap();
    let length = u32::try_from(head.len()).unwrap().to_le_bytes();
    [&length[..], &head, proof].concat()
}

/// A place with proofs, and options that ask all questions about one of them.
fn asked() -> (Place, Options, Vec<u8>) {
    let mut place = Place::signed_if(true);
    place.record(&["a", "b", "c", "d", "e"]);
    place.checkpoint("kept").unwrap();
    let proof = std::fs::read(place.prove("b", "kept")).unwrap();
    let allowed = place.signers.allow(&place.path("key"));
    let options = Options {
        file: Some("b.proof".into()),
        checkpoint_key: Some(place.key.public()),
        trail: Some(place.trail.tree().unwrap().origin().to_owned()),
        allowed_signers: Some(std::fs::read_to_string(allowed).unwrap()),
        against: vec![(
            "kept".into(),
            std::fs::read_to_string(place.path("kept")).unwrap(),
        )],
        ..Options::default()
    };
    (place, options, proof)
}

#[test]
fn native_and_browser_core_give_the_same_json_for_every_proof() {
    let (core, (_place, options, good)) = (Core::new(), asked());
    let same = |options: &Options, proof: &[u8]| {
        let request = request(options, proof);
        let native = verifier::answer(&request);
        assert_eq!(
            String::from_utf8(core.answer(&request)).unwrap(),
            String::from_utf8(native.json).unwrap()
        );
        native.result
    };
    assert_eq!(same(&options, &good), Some(AuditResult::Holds));
    let none = Options::default();
    assert_eq!(same(&none, &good), Some(AuditResult::NotShown));
    for at in 0..good.len() {
        let mut touched = good.clone();
        touched[at] ^= 1;
        assert_ne!(same(&options, &touched), Some(AuditResult::Holds), "{at}");
    }
    for length in (0..good.len()).step_by(7) {
        assert_eq!(same(&options, &good[..length]), None, "{length}");
    }
    let key = options.checkpoint_key.clone().unwrap();
    for other in [
        Options {
            checkpoint_key: Some("no key".into()),
            ..options.clone()
        },
        Options {
            checkpoint_key: Some(key.replace('+', " ")),
            ..options.clone()
        },
        Options {
            trail: Some("shop".into()),
            ..options.clone()
        },
        Options {
            allowed_signers: Some("nobody".into()),
            ..options.clone()
        },
        Options {
            witness_keys: Some(key.clone()),
            ..options.clone()
        },
        Options {
            against: vec![("x\u{202e}".into(), "no checkpoint".into())],
            ..options.clone()
        },
    ] {
        assert_eq!(same(&other, &good), None, "{other:?}");
    }
    let revoked = Options {
        revoked_signers: Some("".into()),
        ..options.clone()
    };
    same(&revoked, &good);
    let fewer = Options {
        witness_quorum: Some(2),
        witness_keys: Some("".into()),
        ..options
    };
    same(&fewer, &good);
}

#[test]
fn the_command_line_prints_what_the_browser_core_answers() {
    let (core, (place, options, good)) = (Core::new(), asked());
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.path(name), bytes).unwrap();
    write(
        "key.pub",
        options.checkpoint_key.as_ref().unwrap().as_bytes(),
    );
    write(
        "signers",
        options.allowed_signers.as_ref().unwrap().as_bytes(),
    );
    let mut touched = good.clone();
    let at = good
        .windows(9)
        .position(|part| part == b"completed")
        .unwrap();
    touched[at] = b'C';
    for (proof, exit) in [(&good[..], 0), (&touched, 3), (&good[..40], 1)] {
        write("b.proof", proof);
        let program = env!("CARGO_BIN_EXE_chiffon-audit");
        let mut command = std::process::Command::new(program);
        command.current_dir(place.path("b.proof").parent().unwrap());
        command.args([
            "verify",
            "--json",
            "--proof",
            "b.proof",
            "--checkpoint-key",
            "key.pub",
        ]);
        command.args(["--allowed-signers", "signers", "--against", "kept"]);
        command.args(["--trail", options.trail.as_deref().unwrap()]);
        let output = support::isolated(&mut command).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
        let answer = core.answer(&request(&options, proof));
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(answer).unwrap()
        );
    }
}

#[test]
fn a_proof_must_lead_to_the_checkpoint_that_the_auditor_keeps() {
    let (mut place, options, proof) = asked();
    let answer = |text: &str, name: &str| {
        let options = Options {
            against: vec![(name.to_owned(), text.to_owned())],
            ..options.clone()
        };
        let answer = verifier::answer(&request(&options, &proof));
        let json: serde_json::Value = serde_json::from_slice(&answer.json).unwrap();
        let claims = json["claims"].as_array().unwrap().clone();
        let found = claims.iter().find(|claim| claim["id"] == "same-checkpoint");
        found.unwrap().clone()
    };
    let kept = std::fs::read_to_string(place.path("kept")).unwrap();
    assert_eq!(answer(&kept, "kept")["verdict"], "holds");
    place.record(&["f"]);
    place.checkpoint("later").unwrap();
    let later = std::fs::read_to_string(place.path("later")).unwrap();
    assert_eq!(answer(&later, "later")["verdict"], "not-shown");
    // Of the same size, as another root under the same key would be.
    let forged = later.replacen("\n6\n", "\n5\n", 1);
    let broken = answer(&forged, "forged");
    assert_eq!(broken["verdict"], "broken");
    assert!(broken["what"].as_str().unwrap().contains("two histories"));
    let other = kept.replacen("chiffon-audit/", "chiffon-audit/x", 1);
    assert_eq!(answer(&other, "other")["verdict"], "broken");
}
