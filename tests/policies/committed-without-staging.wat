(func $decide (result i32) (call $committed))
