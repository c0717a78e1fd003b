;; An entry of a million opening brackets.
(data (i32.const 0x1000) "{\"a\":")
(func $decide (result i32)
  (drop (memory.grow (i32.const 16)))
  (memory.fill (i32.const 0x10000) (i32.const 0x5b) (i32.const 1000000))
  (memory.copy (i32.const 0x10000) (i32.const 0x1000) (i32.const 5))
  (call $stage (i32.const 0x10000) (i32.const 1000000)) (call $ask) (call $committed))
