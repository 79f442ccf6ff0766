;; An echo server by another hand: it takes a few bytes at a time, sends each request alone, and stops at once. The ids of
;; requests are 4 times the connection and 1 for reading or writing, 3 for closing; 1 is listening, 2 are signals.
;; Replaced by tests: PORT, READ (bytes taken at a time), SIGNAL (what it does when it is signalled), BEFORE (what it does
;; before it sends bytes back: `$connection` is to whom), AFTER (what it does when they are sent).
(global $ended (mut i32) (i32.const 0))

(func $send_as (param $id i64) (param $kind i32) (param $a i64) (param $b i64)
  (call $prepare (local.get $kind) (local.get $a) (local.get $b) (i64.const 0))
  (i64.store (i32.const 64) (local.get $id))
  (call $send (i32.const 64) (i32.const 1)))

(func $read (param $connection i64)
  (call $send_as (i64.add (i64.shl (local.get $connection) (i64.const 2)) (i64.const 1))
    (i32.const 1) (local.get $connection) (i64.const READ)))

;; Writes the bytes at that address.
(func $write (param $connection i64) (param $at i32) (param $length i32)
  (i32.store8 (i32.const 512) (i32.const 0))
  (i32.store (i32.const 520) (local.get $at))
  (i32.store (i32.const 524) (local.get $length))
  (call $send_as (i64.add (i64.shl (local.get $connection) (i64.const 2)) (i64.const 1))
    (i32.const 2) (local.get $connection) (i64.const 0x1_0000_0200)))

(func $close (param $connection i64)
  (call $send_as (i64.add (i64.shl (local.get $connection) (i64.const 2)) (i64.const 3))
    (i32.const 4) (local.get $connection) (i64.const 0)))

(func $take (param $answer i32)
  (local $connection i64) (local $kind i32)
  (local.set $connection (i64.shr_u (i64.load (local.get $answer)) (i64.const 2)))
  (local.set $kind (i32.load8_u offset=8 (local.get $answer)))
  (if (i32.eq (local.get $kind) (i32.const 1))
    (then (call $read (i64.load offset=16 (local.get $answer))) (return)))
  (if (i32.eq (local.get $kind) (i32.const 10))
    (then SIGNAL (return)))
  (if (i64.eqz (local.get $connection))
    (then (return)))
  (if (i32.eq (local.get $kind) (i32.const 2))
    (then
      (if (i32.load offset=20 (local.get $answer))
        (then
          BEFORE
          (call $write (local.get $connection) (i32.load offset=16 (local.get $answer))
            (i32.load offset=20 (local.get $answer))))
        (else (call $close (local.get $connection))))
      (return)))
  (if (i32.eq (local.get $kind) (i32.const 3))
    (then AFTER (return)))
  (if (i32.eq (local.get $kind) (i32.const 11))
    (then (call $close (local.get $connection)))))

(func (export "run") (param i32 i32) (result i32)
  (local $answer i32) (local $end i32)
  (call $send_as (i64.const 1) (i32.const 0) (i64.const 0x3e8_0000_0000) (i64.const 1))
  (call $send_as (i64.const 2) (i32.const 11) (i64.const 0) (i64.const 0))
  (loop $turns
    (local.set $answer (call $answer))
    (local.set $end (i32.add (local.get $answer) (i32.mul (i32.const 64) (i32.load (i32.const 20)))))
    (block $done
      (loop $answers
        (br_if $done (i32.ge_u (local.get $answer) (local.get $end)))
        (call $take (local.get $answer))
        (local.set $answer (i32.add (local.get $answer) (i32.const 64)))
        (br $answers)))
    (br_if $turns (i32.eqz (global.get $ended))))
  (call $exit (i32.sub (global.get $ended) (i32.const 1))))
