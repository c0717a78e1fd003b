;; The second `write-new` must answer `exists`; the first stands.
(data (i32.const 0x200) "{}")
(func $decide (result i32)
  (call $stage_entry)
  (call $stage (i32.const 0x200) (i32.const 2))
  (if (i32.ne (i32.load8_u (i32.const 0x800)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 0x808)) (i32.const 1)) (then (unreachable)))
  (call $ask)
  (call $committed))
