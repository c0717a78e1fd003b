;; Prints what a Rust guest prints when it panics, and traps.
(import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
  (func $print (param i32) (param i32) (param i32) (param i32)))
(data (i32.const 0x1000) "\0athread '<unnamed>' (1) panicked at src/lib.rs:4:5:\0aout of luck\0anote: run with RUST_BACKTRACE=1\0a")
(func $decide (result i32)
  (call $print (call $stderr) (i32.const 0x1000) (i32.const 96) (i32.const 0x800))
  (unreachable))
