#include "textflag.h"

// func onMask()
// The kernel calls it as C would: A2 is the ucontext, 40 bytes into which the mask is.
TEXT ·onMask(SB),NOSPLIT|NOFRAME,$0
	MOV	40(A2), A3
	MOV	·maskAdd(SB), A4
	OR	A4, A3
	MOV	·maskKeep(SB), A4
	AND	A4, A3
	MOV	A3, 40(A2)
	MOV	$·maskDone(SB), A3
	MOV	$1, A4
	AMOADDW	A4, (A3), A5
	RET

// func onMaskPC() uintptr
TEXT ·onMaskPC(SB),NOSPLIT,$0-8
	MOV	$·onMask(SB), A0
	MOV	A0, ret+0(FP)
	RET
