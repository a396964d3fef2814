#include "textflag.h"

// func entry()
// See entry.go. The stack is as the kernel left it and is put back as it was.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	SUB	$16, R13
again:
	MOVW	R13, R0
	MOVW	$0, R1
	MOVW	$359, R7	// pipe2
	SWI	$0
	CMP	$0, R0
	BNE	done
	MOVW	4(R13), R0
	MOVW	$6, R7		// close
	SWI	$0
	MOVW	0(R13), R0
	CMP	$2, R0
	BLE	again		// it filled a gap: keep it and look for another
	MOVW	$6, R7
	SWI	$0
done:
	ADD	$16, R13
	B	_rt0_arm_linux(SB)
