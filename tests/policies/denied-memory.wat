;; Asks for more than it may have, copes with the denial, and answers honestly.
(func $decide (result i32)
  (drop (memory.grow (i32.const 60000)))
  (call $stage_entry) (call $ask) (call $committed))
