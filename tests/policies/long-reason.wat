;; Answers `unavailable` with SIZE bytes of text.
(func $decide (result i32)
  (drop (memory.grow (i32.const 512)))
  (memory.fill (i32.const 0x10000) (i32.const 0x2e) (i32.const SIZE))
  (call $error (i32.const 2) (i32.const 0x10000) (i32.const SIZE)))
