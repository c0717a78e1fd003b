(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
(func $decide (result i32) (call $stage_entry) (call $ask) (call $exit (i32.const STATUS)) (call $committed))
