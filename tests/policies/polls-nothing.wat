(import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32) (param i32) (param i32)))
(func $decide (result i32)
  (call $poll (i32.const 0x1000) (i32.const 0) (i32.const 0x800))
  (call $committed))
