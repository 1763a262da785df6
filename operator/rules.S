// SPDX-License-Identifier: Apache-2.0
// The template of a fleet's alert rules, as the chart ships it, inside the program: rules_template[rules_template_size].
    .section .rodata
    .global rules_template
    .global rules_template_size
    .balign 8
rules_template_size:
    .quad 1f - rules_template
rules_template:
    .incbin "charts/kubecanary/rules/fleet.yaml"
1:
    .byte 0
    .section .note.GNU-stack, "", %progbits
