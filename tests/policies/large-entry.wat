;; Stages SIZE bytes of white space.
(func $decide (result i32)
  (drop (memory.grow (i32.const 512)))
  (memory.fill (i32.const 0x10000) (i32.const 0x20) (i32.const SIZE))
  (call $stage (i32.const 0x10000) (i32.const SIZE))
  (call $ask)
  (call $committed))
