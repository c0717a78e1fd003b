;; Refuses with COUNT violations, all of them the pointer POINTER and the message `no`.
(data (i32.const 0x1000) "POINTER")
(data (i32.const 0x2000) "no")
(func $decide (result i32)
  (local $at i32)
  (local.set $at (i32.const 0))
  (block $done
    (loop $more
      (br_if $done (i32.eq (local.get $at) (i32.const COUNT)))
      (i32.store offset=0x3000 (i32.shl (local.get $at) (i32.const 4)) (i32.const 0x1000))
      (i32.store offset=0x3004 (i32.shl (local.get $at) (i32.const 4)) (i32.const LENGTH))
      (i32.store offset=0x3008 (i32.shl (local.get $at) (i32.const 4)) (i32.const 0x2000))
      (i32.store offset=0x300c (i32.shl (local.get $at) (i32.const 4)) (i32.const 2))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $more)))
  (call $error (i32.const 0) (i32.const 0x3000) (i32.const COUNT)))
