(import "acme:secrets/keys@1.0.0" "get" (func $get (param i32)))
(func $decide (result i32) (call $get (i32.const 0x800)) (call $committed))
