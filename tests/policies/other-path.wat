;; Names PATH as its entry, to read and to write, and answers `committed` all the same.
(data (i32.const 0x1000) "PATH")
(func $decide (result i32)
  (call $read (i32.const 0x1000) (i32.const LENGTH) (i32.const 0x800))
  ;; A read of another's path must fail with `invalid-path`.
  (if (i32.ne (i32.load8_u (i32.const 0x800)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 0x808)) (i32.const 0)) (then (unreachable)))
  (call $write_new (i32.const 0x1000) (i32.const LENGTH) (i32.const 0x100) (i32.const 79) (i32.const 0x800))
  (if (i32.ne (i32.load8_u (i32.const 0x800)) (i32.const 1)) (then (unreachable)))
  (call $ask)
  (call $committed))
