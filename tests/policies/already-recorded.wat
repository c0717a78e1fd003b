;; Says of everything that it is recorded already, and stages an entry nevertheless.
(func $decide (result i32) (call $stage_entry) (call $ask) (call $already_recorded))
