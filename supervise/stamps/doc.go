// Package stamps remembers over a reboot when persistent timers last started their
// services, so that a start that was missed meanwhile can be made up for.
//
// It owns the directories of empty files whose times tell that. It refuses to know
// when a start is due. What cannot be written or read is logged, and counts as never.
package stamps
