;; Prints four megabytes to standard output, then answers honestly.
(import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
  (func $print (param i32) (param i32) (param i32) (param i32)))
(func $decide (result i32)
  (local $out i32) (local $left i32)
  (memory.fill (i32.const 0x10000) (i32.const 0x2e) (i32.const 0x1000))
  (i32.store8 (i32.const 0x10800) (i32.const 10))
  (local.set $out (call $stdout))
  (local.set $left (i32.const 1024))
  (loop $more
    (call $print (local.get $out) (i32.const 0x10000) (i32.const 0x1000) (i32.const 0x800))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $stage_entry) (call $ask) (call $committed))
