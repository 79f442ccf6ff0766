;; A guest that asks for everything once, and then sends its clients back what they send, with four bytes of a buffer and
;; four of a file behind it. It pauses when it is told to, and stops at once.
;; The ids of requests are 4 times the connection and 1 for reading or writing, 3 for closing; below 1,000 is the rest.
(data (i32.const 2048) "hello.txtabsent")
(global $begun (mut i32) (i32.const 0))
(global $ended (mut i32) (i32.const 0))
(global $file (mut i64) (i64.const 0))
(global $buffer (mut i64) (i64.const 0))

;; What stands at that address in the memory, as a list's payload word.
(func $text (param $at i32) (param $length i32) (result i64)
  (i64.or (i64.extend_i32_u (local.get $at)) (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 32))))

;; Asks and waits; the word that the answer holds.
(func $word (param $kind i32) (param $a i64) (param $b i64) (param $c i64) (result i64)
  (call $submit (local.get $kind) (local.get $a) (local.get $b) (local.get $c))
  (i64.load offset=16 (call $answer)))

(func $send_as (param $id i64) (param $kind i32) (param $a i64) (param $b i64)
  (call $prepare (local.get $kind) (local.get $a) (local.get $b) (i64.const 0))
  (i64.store (i32.const 64) (local.get $id))
  (call $send (i32.const 64) (i32.const 1)))

;; Every kind of request that is answered at once.
(func $begin
  (drop (call $ask (i32.const 5) (call $text (i32.const 2057) (i32.const 6)) (i64.const 0) (i64.const 0)))
  (drop (call $ask (i32.const 8) (i64.const 0) (i64.const 0) (i64.const 0xffff_ffff)))
  (global.set $file (call $word (i32.const 5) (call $text (i32.const 2048) (i32.const 9)) (i64.const 1) (i64.const 0)))
  (global.set $buffer (call $word (i32.const 7) (global.get $file) (i64.const 1) (i64.const 4)))
  (drop (call $ask (i32.const 6) (global.get $file) (i64.const 0) (i64.const 100)))
  (drop (call $ask (i32.const 13) (global.get $file) (i64.const 0) (i64.const 0)))
  (drop (call $ask (i32.const 14) (call $text (i32.const 2048) (i32.const 5)) (i64.const 0) (i64.const 0)))
  (drop (call $ask (i32.const 15) (i64.const 0) (i64.const 0) (i64.const 0)))
  (drop (call $ask (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0)))
  (call $send_as (i64.const 100) (i32.const 9) (i64.const 0) (i64.const 0))
  (call $send_as (i64.const 101) (i32.const 10) (i64.const 3600000000000) (i64.const 0))
  (drop (call $ask (i32.const 12) (i64.const 101) (i64.const 0) (i64.const 0)))
  (call $send_as (i64.const 102) (i32.const 11) (i64.const 0) (i64.const 0))
  ;; Port 0, and eight connections at most, which may be shared out.
  (call $send_as (i64.const 103) (i32.const 0) (i64.const 0x8_0000_0000) (i64.const 1)))

(func $read (param $connection i64)
  (call $send_as (i64.add (i64.shl (local.get $connection) (i64.const 2)) (i64.const 1))
    (i32.const 1) (local.get $connection) (i64.const 64)))

(func $part (param $at i32) (param $case i32) (param $a i64) (param $b i64) (param $c i64)
  (i32.store8 (local.get $at) (local.get $case))
  (i64.store offset=8 (local.get $at) (local.get $a))
  (i64.store offset=16 (local.get $at) (local.get $b))
  (i64.store offset=24 (local.get $at) (local.get $c)))

;; Writes the bytes at that address, and what comes behind them.
(func $write (param $connection i64) (param $at i32) (param $length i32)
  (call $part (i32.const 512) (i32.const 0) (call $text (local.get $at) (local.get $length)) (i64.const 0) (i64.const 0))
  (call $part (i32.const 544) (i32.const 1) (global.get $buffer) (i64.const 0) (i64.const 4))
  (call $part (i32.const 576) (i32.const 2) (global.get $file) (i64.const 2) (i64.const 4))
  (call $send_as (i64.add (i64.shl (local.get $connection) (i64.const 2)) (i64.const 1))
    (i32.const 2) (local.get $connection) (call $text (i32.const 512) (i32.const 3))))

(func $close (param $connection i64)
  (call $send_as (i64.add (i64.shl (local.get $connection) (i64.const 2)) (i64.const 3))
    (i32.const 4) (local.get $connection) (i64.const 0)))

;; Does what an answer asks for; whether the guest is to pause.
(func $take (param $answer i32) (result i32)
  (local $id i64) (local $connection i64) (local $kind i32)
  (local.set $id (i64.load (local.get $answer)))
  (local.set $connection (i64.shr_u (local.get $id) (i64.const 2)))
  (local.set $kind (i32.load8_u offset=8 (local.get $answer)))
  (if (i32.eq (local.get $kind) (i32.const 10))
    (then
      (if (i32.eq (i32.load8_u offset=16 (local.get $answer)) (i32.const 2)) (then (return (i32.const 1))))
      (if (i32.eqz (i32.load8_u offset=16 (local.get $answer))) (then (global.set $ended (i32.const 1))))
      (return (i32.const 0))))
  (if (i32.eq (local.get $kind) (i32.const 1))
    (then (call $read (i64.load offset=16 (local.get $answer))) (return (i32.const 0))))
  (if (i64.lt_u (local.get $id) (i64.const 1000)) (then (return (i32.const 0))))
  (if (i32.eq (local.get $kind) (i32.const 2))
    (then
      (if (i32.load offset=20 (local.get $answer))
        (then
          (call $write (local.get $connection) (i32.load offset=16 (local.get $answer))
            (i32.load offset=20 (local.get $answer))))
        (else (call $close (local.get $connection))))))
  (if (i32.eq (local.get $kind) (i32.const 3)) (then (call $read (local.get $connection))))
  (if (i32.eq (local.get $kind) (i32.const 11)) (then (call $close (local.get $connection))))
  (i32.const 0))

(func (export "run") (param i32 i32) (result i32)
  (local $answer i32) (local $end i32) (local $pauses i32)
  (if (i32.eqz (global.get $begun)) (then (call $begin) (global.set $begun (i32.const 1))))
  (loop $turns
    (local.set $answer (call $answer))
    (local.set $end (i32.add (local.get $answer) (i32.mul (i32.const 64) (i32.load (i32.const 20)))))
    (block $done
      (loop $answers
        (br_if $done (i32.ge_u (local.get $answer) (local.get $end)))
        (local.set $pauses (i32.or (local.get $pauses) (call $take (local.get $answer))))
        (local.set $answer (i32.add (local.get $answer) (i32.const 64)))
        (br $answers)))
    (if (local.get $pauses) (then (i32.store8 (i32.const 0) (i32.const 1)) (return (i32.const 0))))
    (br_if $turns (i32.eqz (global.get $ended))))
  (call $exit (i32.const 0)))
