;; Asks for the time for ever.
(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
(func $decide (result i32) (loop $again (drop (call $monotonic)) (br $again)) (unreachable))
