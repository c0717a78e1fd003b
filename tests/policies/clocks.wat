;; The wall clock shows the time of recording; the monotonic clock stands still.
(import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
(func $decide (result i32)
  (call $wall (i32.const 0x1000))
  (if (i64.ne (i64.load (i32.const 0x1000)) (i64.const 1768989902)) (then (unreachable)))
  (if (i32.ne (i32.load (i32.const 0x1008)) (i32.const 123000)) (then (unreachable)))
  (if (i64.ne (call $monotonic) (call $monotonic)) (then (unreachable)))
  (call $stage_entry) (call $ask) (call $committed))
