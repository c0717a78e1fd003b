;; Stages ENTRY.
(data (i32.const 0x1000) "ENTRY")
(func $decide (result i32)
  (call $stage (i32.const 0x1000) (i32.const LENGTH))
  (call $ask)
  (call $committed))
