#include "textflag.h"

// func entry()
// See entry.go. The stack is as the kernel left it and is put back as it was.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	SUBQ	$16, SP
again:
	MOVQ	SP, DI
	MOVL	$0, SI
	MOVL	$293, AX	// pipe2
	SYSCALL
	TESTQ	AX, AX
	JNE	done
	MOVL	4(SP), DI
	MOVL	$3, AX		// close
	SYSCALL
	MOVL	0(SP), DI
	CMPL	DI, $2
	JLE	again		// it filled a gap: keep it and look for another
	MOVL	$3, AX
	SYSCALL
done:
	ADDQ	$16, SP
	MOVQ	SP, DI
	CALL	·hold(SB)
	JMP	_rt0_amd64_linux(SB)
