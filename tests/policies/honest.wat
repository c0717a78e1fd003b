;; Not hostile: what the others leave out, in full.
(func $decide (result i32) (call $stage_entry) (call $ask) (call $committed))
