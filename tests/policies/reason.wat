;; Answers KIND with the text REASON.
(data (i32.const 0x1000) "REASON")
(func $decide (result i32) (call $error (i32.const KIND) (i32.const 0x1000) (i32.const LENGTH)))
