(func $decide (result i32) (call $stage_entry) (call $ask) (unreachable))
