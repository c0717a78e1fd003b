;; Logs eight random bytes in the printable range, so that two calls can be compared; then asks for a terabyte if BYTES says so.
(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random_bytes (param i64) (param i32)))
(func $decide (result i32)
  (i64.store (i32.const 0x1000)
    (i64.or (i64.and (call $random) (i64.const 0x0f0f0f0f0f0f0f0f)) (i64.const 0x4040404040404040)))
  (call $log (i32.const 2) (i32.const 0x1000) (i32.const 8))
  (call $random_bytes (i64.const BYTES) (i32.const 0x800))
  (call $stage_entry) (call $ask) (call $committed))
