#include "textflag.h"

// func entry()
// See entry.go. The stack is as the kernel left it and is put back as it was.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	SUB	$16, RSP
again:
	MOVD	RSP, R0
	MOVD	$0, R1
	MOVD	$59, R8		// pipe2
	SVC
	CBNZ	R0, done
	MOVWU	4(RSP), R0
	MOVD	$57, R8		// close
	SVC
	MOVWU	0(RSP), R0
	CMPW	$2, R0
	BLE	again		// it filled a gap: keep it and look for another
	MOVD	$57, R8
	SVC
done:
	ADD	$16, RSP
	MOVD	RSP, R0
	BL	·hold(SB)
	JMP	_rt0_arm64_linux(SB)
