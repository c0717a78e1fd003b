(import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
(func $decide (result i32) (drop (call $network)) (call $committed))
