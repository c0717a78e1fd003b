;; Stages an entry without having looked whether there is one.
(func $decide (result i32) (call $stage_entry) (call $ask) (call $committed))
