;; Asks for a commit with the subject SUBJECT.
(data (i32.const 0x1000) "SUBJECT")
(func $decide (result i32)
  (call $stage_entry)
  (call $commit (i32.const 0x1000) (i32.const LENGTH) (i32.const 0x800))
  (call $committed))
