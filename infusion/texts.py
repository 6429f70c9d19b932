"""The words of every alert, in one place, so that they can be reviewed as texts.

How a template is filled is told in infusion/words.py. Marks of sources: [V] read in the source,
[V2] read in a secondary source, [D] derived from such, [M] from memory, [A] a proposal of this
project. GIP is the Generic Infusion Pump safety requirements.

Rules for who writes here: plain words that read well aloud; what is known, and no guess at a
diagnosis; nobody is blamed; a text never orders a change of dose. `first` is what a nurse does
before anything else, at the bedside or on the telephone, the safest step first.
"""

from infusion.alarms import Priority
from infusion.messages import Evidence
from infusion.words import Text, Told, told

_DEVICE = {
    "downstream-occlusion": Text(
        title="downstream occlusion",
        what="The pump found the line to the patient blocked and stopped[ {lasted} ago].",
        first="Look for closed clamps and kinks from the pump to the catheter. Do not restart "
        "before the line is free, and let the pressure off as you were taught: what is held back "
        "comes as a bolus.",
        why="No heparin reaches the patient, and what the stretched line holds back comes at once "
        "when it opens.",
        source="IEC 60601-2-24 has it as a high-priority alarm (Infusomat Space P manual, p. 70 "
        "[V]); Open PCA calls it medium [V].",
        clears="When the pump no longer reports it.",
    ),
    "upstream-occlusion": Text(
        title="upstream occlusion",
        what="The pump found the line from the bag blocked and stopped[ {lasted} ago].",
        first="Look for closed clamps and kinks between the bag and the pump, and see that the "
        "bag is properly connected. Restart the pump when the line is free, and see that it runs.",
        why="Without delivery the level in the blood leaves its range within about an hour.",
        source="The recall notice of CADD-Solis of 2025-04-08 calls it a high-priority alarm that "
        "stops the pump [V]; about an hour: 56 min from 18 IU/kg/h, by the patient model [D].",
        clears="When the pump no longer reports it.",
    ),
    "air-in-line": Text(
        title="air in line",
        what="The pump found air in the line and stopped[ {lasted} ago].",
        first="Close the clamp to the patient. Then look for air in the tubing, an empty bag and "
        "loose connections, and clear the air the way you were taught.",
        why="Air must not reach the patient, and while the pump stands no heparin does either.",
        source="Alaris GP manual [V]; GIP 1.9.1: a bubble of more than 200 µL [V2].",
        clears="When the pump no longer reports it.",
    ),
    "free-flow": Text(
        title="free flow",
        what="The pump has reported free flow[ for {lasted}]: heparin may be running in "
        "uncontrolled.",
        first="Close the clamp on the line at once. Then look at the bag, the cassette and the "
        "pump's door, and call the prescriber.",
        why="A whole bag can run in within an hour; in one report 400 mL did.",
        source="GIP 1.2.2 [V2]; the report is by the Pennsylvania Patient Safety Authority [V].",
        clears="When the pump no longer reports it.",
    ),
    "reservoir-empty": Text(
        title="reservoir empty",
        what="The bag ran empty and the pump stopped[ {lasted} ago].",
        first="Hang the next bag as ordered, and compare its label and concentration with the "
        "order. If there is none, call the pharmacist now.",
        why="Continuous heparin has no reserve: the level leaves its range within about an hour.",
        source="GIP 1.5 [V2]; high, because continuous heparin must not stop [A]; about an hour: "
        "by the patient model [D].",
        clears="When the pump no longer reports it.",
    ),
    "reservoir-low": Text(
        title="reservoir low",
        what="The pump has said[ for {lasted}] that the bag is nearly empty.",
        first="See that the next bag is there, in date and of the ordered concentration. If not, "
        "call the pharmacist.",
        why="A bag that is changed in time costs no dose.",
        source="GIP 1.5: an alert when the reservoir is low [V2]; Medfusion 3500 manual [V].",
        clears="When the pump no longer reports it.",
    ),
    "infusion-complete": Text(
        title="VTBI infused",
        what="The pump has given the whole volume that it was set to give (VTBI) and stopped[ "
        "{lasted} ago].",
        first="Look at the order: is the infusion to go on? Then look at what is left in the bag, "
        "and have the pump set for the next volume with a second check.",
        why="A volume that ran out stops continuous heparin just as an empty bag does.",
        source="GIP 1.5 [V2]; high, because continuous heparin must not stop [A].",
        clears="When the pump no longer reports it.",
    ),
    "battery-depleted": Text(
        title="battery depleted",
        what="The pump's battery ran empty and the pump stopped[ {lasted} ago].",
        first="Plug the pump in or change its battery. Then see that it runs again, at the "
        "ordered rate.",
        why="Without power nothing is delivered, and soon the pump cannot alarm either.",
        source="GIP 5.1 [V2].",
        clears="When the pump no longer reports it.",
    ),
    "battery-low": Text(
        title="battery low",
        what="The pump has said[ for {lasted}] that its battery is low.",
        first="Plug the pump in, or change its battery before it stops.",
        why="A pump with an empty battery stops, and some then forget what they were set to.",
        source="GIP 5.1: less than 15 min left [V2].",
        clears="When the pump no longer reports it.",
    ),
    "door-open": Text(
        title="door open",
        what="The pump's door or cassette was opened and the pump stopped[ {lasted} ago].",
        first="Close the clamp on the line before you touch the door or the cassette. Then seat it "
        "again, open the clamp and see that the pump runs.",
        why="A set that is out of its pump can run freely, and the pump delivers nothing.",
        source="Alaris GP manual [V].",
        clears="When the pump no longer reports it.",
    ),
    "system-malfunction": Text(
        title="system malfunction",
        what="The pump found a fault of its own and stopped[ {lasted} ago].",
        first="Close the clamp on the line and do not use this pump again. Get the spare pump, "
        "set it as ordered with a second check, and call the pump supplier.",
        why="A pump with a fault must not be trusted, and no heparin is delivered meanwhile.",
        source="GIP: a failure of the device stops it with a high-priority alarm [V2].",
        clears="When the pump no longer reports it.",
    ),
    "over-temperature": Text(
        title="too hot",
        what="The pump became too hot and stopped[ {lasted} ago].",
        first="Take the pump out of the sun or from under the covers, and let it cool. Get the "
        "spare pump if it does not run again within minutes.",
        why="No heparin is delivered until it has cooled or is replaced.",
        source="Open PCA: an alarm at 55 °C [V].",
        clears="When the pump no longer reports it.",
    ),
    "standby-expired": Text(
        title="standby expired",
        what="The pump's standby ended[ {lasted} ago]; it waits for somebody, and delivers "
        "nothing until then.",
        first="Look at the order: is the infusion to run now? If it is, restart the pump and read "
        "its rate; if not, tell the prescriber that it stands.",
        why="A hold that nobody ends is one of the most frequent ways to lose doses.",
        source="27 % of the alarms of 11 410 pumps (BI&T 2018;52:433 [V]); Medfusion 3500 manual "
        "[V].",
        clears="When the pump no longer reports it.",
    ),
    "near-end": Text(
        title="VTBI nearly infused",
        what="The pump has nearly given the volume that it was set to give (VTBI)[; it has said "
        "so for {lasted}].",
        first="See that the next bag is there, and look at the order for what comes next.",
        why="When the volume is used up, the pump stops.",
        source="Medfusion 3500 manual [V].",
        clears="When the pump no longer reports it.",
    ),
    "callback": Text(
        title="programming waits for input",
        what="Programming was begun at the pump and not finished[; it has waited {lasted}].",
        first="Finish or cancel it at the pump, and compare the rate on the display with the "
        "order.",
        why="What somebody meant to change is not yet changed.",
        source="GIP 2.2: an alert after 5 min without a key [V2].",
        clears="When the pump no longer reports it.",
    ),
    "programming-cleared": Text(
        title="programming was left alone and cleared",
        what="Programming was begun at the pump, left alone for too long and cleared[ {lasted} "
        "ago].",
        first="See what the pump runs now, and compare it with the order. What was to be changed "
        "must be set again, with a second check.",
        why="Somebody may believe that a new rate runs, and it does not.",
        source="GIP 2.2: cleared after 10 min without a key [V2].",
        clears="When the pump no longer reports it.",
    ),
    "unknown-device-alarm": Text(
        title="device alarm",
        what="The pump raises an alarm that this monitor has no words for[: {detail}][; it began "
        "{lasted} ago]. Whether it stops the dose is not known.",
        first="Read the pump's display and do what its manual says. Then see whether it runs.",
        why="An alarm that nobody understands may still mean that nothing is delivered.",
        source="What is unknown is shown and not dropped [A].",
        clears="When the pump no longer reports it.",
    ),
}
_TECHNICAL = {
    "pump-offline": Text(
        title="pump offline",
        what="The pump lost its connection[ {lasted} ago]; whether it runs, and what it has given "
        "since, is not known.",
        first="Call the patient or carer: does the pump run, and does it show an alarm? Then look "
        "at its power and network.",
        why="While a pump is not heard, neither a stop nor a wrong rate is seen from here.",
        source="Device-to-alarm-manager use cases of IHE (SDPi [V]); low, then medium at 15 min "
        "and high at 60 min [A].",
        clears="When the pump is connected and has been heard again.",
    ),
    "no-telemetry": Text(
        title="no telemetry",
        what="Nothing has been heard from the pump[ for {span}]; whether it runs, and what it has "
        "given since, is not known.",
        first="Call the patient or carer: does the pump run, and does it show an alarm? Then look "
        "at its power and network.",
        why="While a pump is not heard, neither a stop nor a wrong rate is seen from here.",
        source="Missed after 6 of its own intervals and not before 5 min; medium at 15 min, high "
        "at 60 min [A].",
        clears="When the pump is heard again.",
    ),
    "counter-frozen": Text(
        title="volume counter frozen while delivering",
        what="The pump says that it delivers, but its volume counter has not moved[ for {span}][; "
        "{expected} was due]. Whether that was given is not known.",
        first="Look whether the pump really moves fluid: drip chamber, bag, catheter. If nothing "
        "moves, look for closed clamps; if it does, call the pump supplier.",
        why="Either nothing is delivered, or it is delivered and not counted.",
        source="More than 0.1 mL due and none counted [A].",
        clears="When the counter moves again, or the pump no longer says that it delivers.",
        limits=("frozen_volume_ml",),
    ),
    "counter-fault": Text(
        title="volume counter fault",
        what="The pump's volume counter made a leap[ of {observed}][ {lasted} ago] that no "
        "pumping explains; the dose since then is uncertain.",
        less="The pump's volume counter ran backwards[ {lasted} ago][: {observed}]; the dose "
        "since then is uncertain.",
        first="Compare the volume on the pump's display with what is left in the bag. Tell the "
        "pharmacist if the two do not agree.",
        why="The dose is counted from this counter; a leap may hide too much or too little.",
        source="A counter of one boot never decreases, and never gains more than the pump can "
        "pump [A].",
        clears="When the pump has told believable counts for 15 minutes.",
    ),
    "identity-mismatch": Text(
        title="message of another pump",
        what="A message under this pump's name came[ {lasted} ago] from another pump and was "
        "refused. It is in nobody's dose.",
        first="Read the name on the pump at the bedside and compare it with the order. Ask "
        "technical support which pump uses this connection.",
        why="The dose of one patient must not be counted for another.",
        source="Contract v1: the pump in the payload is the pump in the topic [A].",
        clears="When 15 minutes of messages have come without another one.",
    ),
    "unknown-pump": Text(
        title="unknown pump",
        what="A pump that no order names has been sending[ for {lasted}]; whether its dose is "
        "right is not known.",
        first="Find out where this pump is and whether it is connected to a patient. If it is, "
        "compare it with that patient's order.",
        why="Without an order nothing tells whether its dose is right.",
        source="Every pump is named by an order, or is told of [A].",
        clears="When an order names the pump.",
    ),
    "two-pumps-one-name": Text(
        title="two pumps with one name",
        what="Two pumps have been sending under the same name[ for {lasted}], so their doses "
        "cannot be told apart.",
        first="Watch the pump at the bedside itself, and read its name and serial number. Ask "
        "technical support to give the other pump a name of its own.",
        why="What is shown may be the rate and dose of another patient.",
        source="Five messages that have an old number and a new time [A].",
        clears="When only one pump has been heard under this name for a while.",
    ),
    "replayed-messages": Text(
        title="old messages come again",
        what="Old messages of this pump have come again as if they were new[ for {lasted}][: "
        "{observed}]. Each is counted once, so the dose is not changed.",
        first="Look at the pump itself before you rely on what is shown here. Then tell technical "
        "support.",
        why="An old message can make a pump that stands look as if it runs.",
        source="Twenty messages that were known already [A].",
        clears="When no more of them have come for a while.",
    ),
    "clock-step": Text(
        title="pump's clock was set",
        what="The pump's clock was set to another time[ ({detail})][; that was {lasted} ago]. The "
        "times that are shown may be wrong; the dose is counted on.",
        more="The pump's clock was set forward[ by {length}][; that was {lasted} ago]. The times "
        "that are shown may be wrong; the dose is counted on.",
        less="The pump's clock was set back[ by {length}][; that was {lasted} ago]. The times "
        "that are shown may be wrong; the dose is counted on.",
        first="Compare the clock on the pump with your watch. Ask technical support to set it if "
        "it is wrong.",
        why="Doses are held against the order by the pump's own clock.",
        source="IHE IPEC: every event has the time at which it happened, so pumps keep time [V].",
        clears="When the pump's clock has run evenly for a while.",
    ),
    "messages-missing": Text(
        title="messages are missing",
        what="Messages of this pump have not arrived[: {observed}][ within {span}]. The dose is "
        "still counted; an alarm in between may have been missed.",
        first="Look at the pump's display for alarms. Then look at its network, and tell technical "
        "support if it goes on.",
        why="The counter keeps the dose, but a short alarm can get lost.",
        source="5 % and at least ten of the messages of about an hour; each message of a boot has "
        "the next number [A].",
        clears="When nearly all messages of the last hour have arrived.",
    ),
    "malformed-messages": Text(
        title="messages cannot be read",
        what="Messages under this pump's name have been unreadable[ for {lasted}][: {observed}]. "
        "The next one that can be read tells the dose.",
        first="Look at the pump itself: does it run, and at which rate? Then tell technical "
        "support.",
        why="What cannot be read is not used, so something may be missed.",
        source="Three unreadable messages; contract v1: what is bad is refused, counted and told "
        "of [A].",
        clears="When readable messages have come for a while.",
    ),
}
_THERAPY = {
    "order-refused": Text(
        title="order was refused",
        what="An order for this therapy came[ {lasted} ago] and could not be used[: {detail}]. "
        "Until a good one comes, the pump is watched by the order before it, or by none.",
        first="Ask the prescriber or pharmacist which order holds, and compare pump and bag with "
        "it. Have them send the order again, corrected.",
        why="The pump may follow an order that is not known here, or miss one that is wanted.",
        source="An order that makes no sense changes nothing, and is told (contract v1 [A]).",
        clears="When a newer order of the therapy has been taken.",
    ),
    "unknown-therapy": Text(
        title="unknown therapy",
        what="What the pump has run[ for {lasted}] does not belong to an order for this pump[: "
        "{detail}]. Whether its dose is right is not known.",
        first="Check at the bedside that patient, pump and order belong together. If they do not, "
        "call the prescriber or pharmacist now.",
        why="A dose for another patient may be running.",
        source="An order names therapy and pump; a pump names its therapy (contract v1 [A]).",
        clears="When pump and order name each other.",
    ),
    "therapy-on-two-pumps": Text(
        title="therapy on two pumps",
        what="The pump has been delivering[ for {lasted}] what is ordered for another pump[: "
        "{detail}]. The patient may be getting it twice: all that this pump gives may be too much.",
        first="Find out which of the pumps is connected to the patient. If both are, call the "
        "prescriber or pharmacist now.",
        why="Two pumps give twice the dose, and each of them looks right.",
        source="An order names one pump; high after 10 min [A].",
        clears="When only the ordered pump runs the therapy.",
    ),
    "wrong-concentration": Text(
        title="concentration is not as ordered",
        what="The pump has been set to another concentration than ordered[ for {lasted}][: "
        "{observed}, ordered {expected}]. If the bag is as ordered, every dose is wrong by that "
        "factor; what was given is known when its label is read.",
        first="Read the concentration on the label of the bag that hangs, and compare bag, pump "
        "and order. If the three are not the same, call the pharmacist now.",
        why="Bags of 50 and 100 IU/mL look alike, and mixing them up is a factor of two.",
        source="Premixed bags of 40, 50 and 100 IU/mL: Hospira, Baxter and B. Braun labels [V]; "
        "more than 1 % apart [A].",
        clears="When the pump is set for the ordered concentration.",
        limits=("concentration_tolerance",),
    ),
    "wrong-weight": Text(
        title="weight is not as ordered",
        what="The pump has been set to another weight than ordered[ for {lasted}][: {observed}, "
        "ordered {expected}]. What is reckoned by it is wrong by that factor.",
        first="Compare the weight on the pump with the order, and ask whether it was typed in "
        "pounds. Call the prescriber or pharmacist.",
        why="The dose is by weight: pounds typed as kilograms more than double it.",
        source="More than 10 % apart [A].",
        clears="When the pump is set for the ordered weight.",
        limits=("weight_tolerance",),
    ),
    "rate-not-as-ordered": Text(
        title="rate is not as ordered",
        what="The pump has not been set as ordered[ for {lasted}][: {observed}, ordered "
        "{expected}].",
        more="The pump has been set higher than ordered[ for {lasted}][: {observed}, ordered "
        "{expected}].",
        less="The pump has been set lower than ordered[ for {lasted}][: {observed}, ordered "
        "{expected}].",
        first="Read the rate on the pump and compare it with the newest order; look for a "
        "misplaced decimal point. If they differ, call the prescriber or pharmacist now.",
        why="What is typed in wrong runs until somebody sees it: a tenfold rate takes the level "
        "far out of range within half an hour.",
        source="Pump accuracy of 5 to 6 % (CADD-Solis manual, p. 74 [V]); ±5 %, and high from "
        "twice or half the order on [A].",
        clears="When the pump is set as ordered, or the order is changed to it.",
        limits=(
            "rate_tolerance",
            "rate_gross",
            "change_grace_min",
            "hold_grace_min",
            "early_grace_min",
        ),
    ),
    "order-not-applied": Text(
        title="order is not applied",
        what="A new order has not been carried out[: {observed}, ordered {expected}][; it has "
        "been overdue for {lasted}].",
        first="Ask whether the newest order has reached the bedside. If it has, have the pump set "
        "to it with a second check. If not, or if a bolus is late, call the prescriber first.",
        why="A changed order answers a blood result; until it is applied the level stays wrong.",
        source="30 min to carry out a changed rate, 45 min a bolus [A].",
        clears="When the pump is set as ordered, or long after a bolus was due.",
        limits=("rate_tolerance", "change_grace_min", "bolus_grace_min", "bolus_void_min"),
    ),
    "delivering-on-hold": Text(
        title="delivering against a hold or stop",
        what="The pump has been delivering[ {observed}][ for {lasted}] although a hold or stop is "
        "ordered.",
        first="Read the newest order. If the hold stands, the pump should be paused as ordered; "
        "tell the prescriber what was given meanwhile.",
        why="A hold is ordered when the level is too high or a procedure is near.",
        source="10 min to carry out a hold [A].",
        clears="When the pump stands, or the hold is over.",
        limits=("hold_grace_min",),
    ),
    "outside-limits": Text(
        title="dose outside the limits",
        what="The pump has been set outside the limits for this drug[ for {lasted}][: "
        "{observed}][, allowed {range}]. It may be what is ordered.",
        more="The pump has been set above the highest dose that is allowed for this drug[ for "
        "{lasted}][: {observed}][, allowed {range}]. It may be what is ordered.",
        less="The pump has been set below the lowest dose that is allowed for this drug[ for "
        "{lasted}][: {observed}][, allowed {range}]. It may be what is ordered.",
        first="Compare rate, concentration and weight on the pump with the order, each on its "
        "own. Call the prescriber or pharmacist now, also if it is as ordered.",
        why="Heparin has no highest dose of its own; the limits are all that stops a tenfold "
        "entry.",
        source="ISMP, safety considerations of smart pumps [V]; the limits are the default library "
        "of this project [A].",
        clears="When the dose is inside the limits.",
        limits=("dose_min_iu_kg_h", "dose_max_iu_kg_h", "dose_max_iu_h"),
    ),
    "library-bypassed": Text(
        title="drug library bypassed",
        what="The pump has been running without its drug library[ for {lasted}], so it does not "
        "warn of a dose outside the limits.",
        first="Compare rate, concentration and weight with the order, together with a second "
        "person. Have the pump set through its library at the next change.",
        why="Without the library no limit stops a wrong entry.",
        source="ISMP summit: at least 95 % of infusions go through the library [V].",
        clears="When the pump runs inside its library.",
    ),
    "double-check-missing": Text(
        title="double check is missing",
        what="The last change at the pump[, {lasted} ago,] was not checked by two different "
        "people[: {detail}].",
        first="Have a second person compare rate, concentration and weight with the order, without "
        "being told what to expect.",
        why="Heparin is a high-alert drug: two people who look independently find what one misses.",
        source="ISMP: independent double checks [V]; two nurses at start and at each change "
        "(Conway order form [V]).",
        clears="When two different people have checked.",
        limits=("double_check_required",),
    ),
    "override-pattern": Text(
        title="limits overridden repeatedly",
        what="The drug library's warnings were overridden again and again[: {observed} in {span}].",
        first="Compare what runs with the order. Tell the pharmacist which warning it was: the "
        "limit may need a review.",
        why="Warnings that are often overridden no longer protect, also those for too little.",
        source="ISMP 2020 by way of PSNet [V]; two in 24 h [A].",
        clears="When fewer overrides were made in the last 24 hours.",
        limits=("overrides_max",),
    ),
}
_DELIVERY = {
    "over-delivery": Text(
        title="over-delivery",
        what="More heparin is delivered than ordered[: {observed} in {span}, ordered {expected}].",
        first="Compare the rate on the pump with the order, and the bag with what should be left. "
        "Call the prescriber now and ask whether the pump is to be paused. Ask the patient about "
        "bleeding.",
        why="A dose 20 % too high takes a typical patient out of range.",
        source="GIP 1.2.2: more than 10 % over for more than 15 min [V2]; more than double is "
        "told after 5 min [A], as long as Open PCA waits [V]; 20 %: by the patient model [D].",
        clears="When what is delivered is within the limit again.",
        limits=("flow_tolerance",),
    ),
    "under-delivery": Text(
        title="under-delivery",
        what="Less heparin is delivered than ordered, although the pump says that it delivers[: "
        "{observed} in {span}, ordered {expected}].",
        first="Look for clamps, kinks and leaks from the bag to the catheter, and compare the rate "
        "on the pump with the order. Call the prescriber if you do not find the reason.",
        why="Too little heparin does not show until a clot or a blood test does.",
        source="GIP 1.2.3: less than 90 % for 15 min [V2]; less than half is told after 5 min, "
        "and high after 30 min [A].",
        clears="When what is delivered is within the limit again.",
        limits=("flow_tolerance",),
    ),
    "free-flow-seen": Text(
        title="free flow",
        what="Heparin ran in far faster than the pump was set to[: {observed} for {span}, set to "
        "{expected}].",
        first="Close the clamp on the line at once. Then look at the bag, the cassette and the "
        "catheter, and call the prescriber now.",
        why="A whole bag can run in within an hour; in one report 400 mL did.",
        source="GIP 1.2.2: free flow [V2]; five times the rate [A]; the report is by the "
        "Pennsylvania Patient Safety Authority [V].",
        clears="When the flow is as it was set.",
        limits=("free_flow_factor",),
    ),
    "not-delivering": Text(
        title="not delivering, and no order to hold",
        what="The pump has not delivered[ for {lasted}][ ({reason})], and no hold is ordered.",
        first="Read on the pump why it stands, and put that right first. Restart it if the order "
        "says that it runs; do not make up for what was missed, and call the prescriber.",
        why="Without delivery the level in the blood leaves its range within about an hour.",
        source="Medium at 10 min, high at 30 min, or at 15 min with a low dose [A]; about an "
        "hour: 56 min from 18 IU/kg/h and 16 min from 12 IU/kg/h, by the patient model [D].",
        clears="When the pump delivers, or a hold is ordered.",
    ),
    "hold-overrun": Text(
        title="not restarted after a hold",
        what="The ordered hold ended[ {lasted} ago], and the pump has not been restarted.",
        first="Read the newest order. If the infusion is to run, have it restarted at the ordered "
        "rate, and do not make up for what was missed.",
        why="A forgotten restart leaves the patient without heparin.",
        source="10 min after the end of the hold [A]; a hold that expired is 27 % of the alarms of "
        "11 410 pumps (BI&T 2018;52:433 [V]).",
        clears="When the pump delivers, or the order holds it anew.",
        limits=("hold_grace_min",),
    ),
    "level-off-course": Text(
        title="level is off course",
        what="By the dose delivered, the level in the blood is not what the order would make[: "
        "about {share} of it][; it has been off for {lasted}].",
        more="By the dose delivered, the level in the blood is higher than the order would make[: "
        "about {share} of it][; it has been off for {lasted}].",
        less="By the dose delivered, the level in the blood is lower than the order would make[: "
        "about {share} of it][; it has been off for {lasted}].",
        first="Look at what the pump has delivered in the last hours and why. Call the prescriber, "
        "and ask whether a blood test is wanted.",
        why="It weighs every missed or extra dose by what it does in the blood, not by a fixed "
        "window.",
        source="Ratio of two modelled levels, by delivered and by ordered dose; outside 0.80 to "
        "1.25, below 0.5 or above 1.5 [A].",
        clears="When the two levels have come together again.",
        limits=("level_ratio_high", "level_ratio_low", "level_ratio_off"),
    ),
    "deviation-24h": Text(
        title="dose of 24 h is off",
        what="What was delivered over the last 24 hours is not what was ordered[: {observed}, "
        "ordered {expected}].",
        more="More was delivered over the last 24 hours than ordered[: {observed}, ordered "
        "{expected}].",
        less="Less was delivered over the last 24 hours than ordered[: {observed}, ordered "
        "{expected}].",
        first="Look at stops and changes of the last day. If they do not explain it, ask the pump "
        "supplier to check this pump.",
        why="A slow drift is too small for a quarter of an hour, and adds up over a day.",
        source="More than 10 % in 24 h [A]; pumps are specified to ±6 % (CADD-Solis manual, p. 74 "
        "[V]).",
        clears="When the last 24 hours are within the limit.",
        limits=("day_tolerance",),
    ),
    "reservoir-unexplained": Text(
        title="bag emptier than counted",
        what="The bag holds less than the pump's counter explains[: {observed}, by the counter "
        "{expected}][; first seen {lasted} ago]. Where the rest went is not known.",
        first="Look for a leak at the bag and every connection, and whether the bag runs by "
        "itself. If it does, close the clamp; if all is dry, call the prescriber now.",
        why="What is gone and was not counted may have run into the patient.",
        source="A fifth less than the counter explains [A].",
        clears="When bag and counter agree, or a new bag hangs.",
        limits=("reservoir_missing_share",),
    ),
    "occlusion-forming": Text(
        title="line is closing",
        what="The pressure in the line has been rising[ for {lasted}] as it does when a line "
        "closes[: {observed}, before at most {expected}]. What the pump counts may not reach the "
        "patient.",
        first="Look for clamps and kinks from the pump to the catheter, and how the arm lies. "
        "Before a closed line is opened, let the pressure off as you were taught: what is held "
        "back comes as a bolus.",
        why="At low rates a pump takes many minutes to notice that nothing arrives.",
        source="Time to alarm = compliance × pressure ÷ rate (Crono Five manual, annex 2 [V]); the "
        "limits of this rule [A].",
        clears="When the pressure is as usual for the rate, or the pump alarms itself.",
    ),
    "partial-occlusion": Text(
        title="line is narrow",
        what="The line has needed more pressure than this rate should[ for {lasted}][: "
        "{observed}, usual {expected}]. It may be partly blocked, and less may arrive than is "
        "counted.",
        first="Look for kinks and a half-closed clamp from the pump to the catheter, and how the "
        "arm lies. Look at the catheter site for swelling.",
        why="A narrow line may close, and the pump's own limit is far above this pressure.",
        source="More than 100 mmHg above that of the free line for 5 min, which no height of a "
        "pump explains [A].",
        clears="When the pressure is as usual for the rate.",
    ),
    "reservoir-runs-out": Text(
        title="reservoir runs out",
        what="The pump will have nothing left to infuse[ {when}].",
        first="Have the next bag ready, and compare its label with the order; see whether the "
        "pump needs a new volume. If there is no bag, call the pharmacist now.",
        first_notice="Nothing to do at once. See that the next bag will be there in time.",
        why="A bag that is changed in time costs no dose; an empty one stops the infusion.",
        source="Volume over rate, with the pump's accuracy of ±6 % (CADD-Solis manual, p. 74 "
        "[V]); notice and alert times [A].",
        clears="When a bag hangs that lasts longer.",
        limits=("reservoir_notice_min", "reservoir_alert_min", "pump_accuracy"),
    ),
    "battery-runs-out": Text(
        title="battery runs out",
        what="The pump's battery will be empty[ {when}].",
        first="Plug the pump in, or have a new battery ready.",
        first_notice="Nothing to do at once. See that the pump is plugged in before then.",
        why="Without power nothing is delivered, and soon the pump cannot alarm either.",
        source="By how fast the charge has fallen, ±25 % (Open PCA [V]), and until that is known "
        "12.5 % an hour (a vendor's simulator [V2]); notice and alert times [A].",
        clears="When the pump is plugged in, or has a new battery.",
        limits=("battery_notice_min", "battery_alert_min"),
    ),
    "repeat-occlusion": Text(
        title="repeated occlusions",
        what="The line was blocked again and again[: {observed} in {span}].",
        first="Look at the catheter site and dressing, and how line and arm lie. Ask for a visit "
        "to have the catheter checked.",
        why="Each time costs dose, and a catheter that blocks often may soon block for good.",
        source="Three in 24 h [A].",
        clears="When there were fewer in the last 24 hours.",
        limits=("occlusions_max",),
    ),
    "bag-beyond-use": Text(
        title="bag hangs too long",
        what="The bag has hung longer than it should[: {length}][, limit {limit}].",
        first="Read the date and time on the bag. Hang the next one as ordered, and compare its "
        "label with the order.",
        why="An old bag can lose strength, and nobody can be sure any more that it is sterile.",
        source="A site's own rule, 24 h [M]; heparin in 0.9 % saline in plastic is stable for 24 h "
        "(Goodall 1980 [V]).",
        clears="When a new bag hangs.",
        limits=("bag_hang_h",),
    ),
}
_LABORATORY = {
    "critical-result": Text(
        title="critical laboratory result",
        what="A laboratory result is critical[: {test}][ {observed}][, limit {limit}][; it came "
        "{lasted} ago][; the blood was drawn {span} before].",
        first="Call the prescriber now with the result and the rate on the pump. Ask how the "
        "blood was drawn, and ask the patient about any bleeding.",
        why="At such a value bleeding is a danger, and somebody must decide at once.",
        source="aPTT above 100 s is the median of North American laboratories (NASCOLA 2011 [V]); "
        "anti-Xa from 1.0 IU/mL on (Michigan [V]); platelets below 50 × 10⁹/L [A].",
        clears="When the next result of the same test is not critical.",
        limits=(
            "critical_aptt_s",
            "critical_anti_xa_iu_ml",
            "critical_platelets_g_l",
            "disagreement_chance_off_scale",
        ),
    ),
    "hit-suspected": Text(
        title="platelets fall as in HIT",
        what="Platelets have fallen[ to {observed}][, highest before {expected}], at a time when "
        "heparin can be the cause[; the result came {lasted} ago].",
        first="Call the prescriber now with all platelet counts and the day of treatment. Ask "
        "about a swollen leg, chest pain, breathlessness and changes of the skin.",
        why="Heparin itself can make platelets fall and clots form (HIT), and going on may harm.",
        source="4Ts of 4 points or more by fall, timing and a reported clot, which is all that "
        "the data shows (ASH 2018 [V]; from 4 points on [M]).",
        clears="When a newer count no longer fits.",
        limits=("platelets_fall_high", "platelets_fall_medium"),
    ),
    "platelets-falling": Text(
        title="platelets are falling",
        what="Platelets have fallen[ to {observed}][, highest before {expected}][; the result "
        "came {lasted} ago].",
        first="Tell the prescriber the counts and the day of treatment. Ask the patient about "
        "bleeding, bruises and a swollen leg.",
        why="A fall may be the beginning of a complication of heparin.",
        source="A fall of 30 to 50 % (4Ts, ASH 2018 [V]) or below 100 × 10⁹/L, where all protocols "
        "that were read call the prescriber [V].",
        clears="When the next count is no longer low.",
        limits=("platelets_fall_medium", "platelets_low_g_l", "critical_platelets_g_l"),
    ),
    "haemoglobin-falling": Text(
        title="haemoglobin is falling",
        what="Haemoglobin has fallen[ to {observed}][, highest before {expected}], which can be a "
        "sign of bleeding[; the result came {lasted} ago].",
        first="Ask the patient about dizziness, black stools and pain in belly or back, and look "
        "for bruises. Call the prescriber now.",
        why="Bleeding that nobody sees can show in the haemoglobin.",
        source="A fall of 2 g/dL or more (Durham protocol [V]).",
        clears="When the next result is no longer low.",
        limits=("haemoglobin_fall_g_dl",),
    ),
    "levels-out-of-range": Text(
        title="levels out of range",
        what="Two levels in a row are out of range on the same side[: the newer is {observed}][, "
        "{limit}][; it came {lasted} ago].",
        first="See that the pump runs as ordered and that the last change was applied. Call the "
        "prescriber with both results.",
        why="Once can be chance; twice, the dose does not suit the patient.",
        source="Two in a row below 0.2 or from 1.0 IU/mL on: notify the prescriber (Michigan VTE "
        "protocol [V]); aPTT 45 to 75 s, where the protocol goes by it [M].",
        clears="When the next level is nearer to the range.",
        limits=(
            "nomogram",
            "level_test",
            "far_low_iu_ml",
            "far_high_iu_ml",
            "aptt_low_s",
            "aptt_high_s",
            "aptt_control_s",
        ),
    ),
    "result-disagrees": Text(
        title="result does not fit dose",
        what="A laboratory result does not fit the dose delivered[: {observed}, by the dose about "
        "{expected}][, likely {range}][; it came {lasted} ago].",
        more="A laboratory result is higher than the dose delivered explains[: {observed}, by the "
        "dose about {expected}][, likely {range}][; it came {lasted} ago].",
        less="A laboratory result is lower than the dose delivered explains[: {observed}, by the "
        "dose about {expected}][, likely {range}][; it came {lasted} ago].",
        first="Ask how the blood was drawn: from the heparin line, or from the other arm? Compare "
        "the label of the bag with pump and order, look for leaks, and tell the prescriber before "
        "anybody acts on the result.",
        why="A sample from the heparin line reads far too high, and acting on it would be wrong.",
        source="More than 0.25 IU/mL and more than 50 % apart, and hardly likely for this patient "
        "[A]; at low priority where few patients, or this one seldom, would be so far out [A].",
        clears="When the next result fits.",
        limits=(
            "disagreement_iu_ml",
            "disagreement_share",
            "disagreement_chance",
            "disagreement_chance_off_scale",
            "disagreement_chance_low",
        ),
    ),
    "concentration-doubt": Text(
        title="doubt about the concentration",
        what="Two results in a row fit a bag of another strength than ordered[: about "
        "{observed}][; the newer came {lasted} ago]. It may also be that the patient clears "
        "heparin in another way than before.",
        more="Two results in a row fit a bag that is stronger than ordered[: about {observed}][; "
        "the newer came {lasted} ago]. It may also be that the patient clears heparin more slowly "
        "than before.",
        less="Two results in a row fit a bag that is weaker than ordered[: about {observed}][; "
        "the newer came {lasted} ago]. It may also be that the patient clears heparin faster than "
        "before.",
        first="Read the label of the bag that hangs, and compare bag, pump and order. Keep the "
        "bag, and call the pharmacist now.",
        why="Pump, counter and bag all look right when the wrong strength was mixed or hung; only "
        "the blood shows it.",
        source="A factor between strengths on the market explains two results far better than a "
        "change in the patient [A].",
        clears="When a result fits the ordered strength, or a new bag was hung.",
        limits=("strength_likelihood", "strength_likelihood_high"),
    ),
    "not-therapeutic": Text(
        title="not yet in range",
        what="No level has reached the range since the start[: the highest was {observed}][, the "
        "range begins at {expected}][; that was due {lasted} ago].",
        first="See that the pump has run as ordered since the start. Call the prescriber with all "
        "results so far.",
        why="Without an effective level in the first day clots come back more often.",
        source="Within 24 h (Hull 1997 [V]; Anand 1999 could not confirm it for higher doses [V]).",
        clears="When a level reaches the range.",
        limits=("therapeutic_within_h", "level_test", "anti_xa_low_iu_ml", "aptt_low_s"),
    ),
    "discordance": Text(
        title="aPTT and anti-Xa disagree",
        what="aPTT and anti-Xa disagree twice in a row: one is in range and the other is not[; "
        "aPTT {observed}, range {limit}][; the newer pair came {lasted} ago].",
        first_notice="Nothing to do at once. Keep to the protocol, and tell the prescriber with "
        "the next call.",
        first="Tell the prescriber both results. Ask the laboratory which test is the better guide "
        "for this patient.",
        why="By one test the dose would be changed and by the other not.",
        source="Only 38 % of samples with anti-Xa in range had an aPTT in range (Arachchillage "
        "[V]); twice in a row [A].",
        clears="When both tests say the same.",
        limits=(
            "anti_xa_low_iu_ml",
            "anti_xa_high_iu_ml",
            "aptt_low_s",
            "aptt_high_s",
            "discordance_share",
        ),
    ),
    "level-forecast": Text(
        title="level may leave its range",
        what="If nothing changes, the estimated level will probably leave its range[ within "
        "{span}][: about {observed}, range {limit}].",
        more="If nothing changes, the estimated level will probably rise above its range[ within "
        "{span}][: about {observed}, range {limit}].",
        less="If nothing changes, the estimated level will probably fall below its range[ within "
        "{span}][: about {observed}, range {limit}].",
        first="See that the pump runs as ordered. Ask the prescriber whether to test the blood "
        "earlier.",
        first_notice="Nothing to do at once. See that the next blood test is arranged.",
        why="It tells earlier than the next blood test, and it is only an estimate.",
        source="The patient model, set right by each result; at least 80 % probable within 2 h "
        "[A].",
        clears="When the forecast stays in range, or a result tells more.",
        limits=(
            "anti_xa_low_iu_ml",
            "anti_xa_high_iu_ml",
            "forecast_h",
            "forecast_chance",
            "forecast_anchor_h",
        ),
    ),
}
_CARE = {
    "bleeding": Text(
        title="bleeding reported",
        what="Bleeding or bruising was reported[ {span} ago][: {detail}].",
        first="Call the patient now: where, how much, since when, any fall or blow to the head? "
        "Call the prescriber; if it is heavy or does not stop, call the emergency number first.",
        why="Bleeding is the most feared harm of heparin; the prescriber must decide how to go on.",
        source="A reported bleeding is always high, bruises are medium [A].",
        clears="When somebody reports that it is over; bruises that nobody repeats, after 72 "
        "hours.",
        limits=("complaint_h",),
    ),
    "complication-reported": Text(
        title="complication reported",
        what="A complaint was reported[ {span} ago][: {detail}].",
        first="Call the patient: what is it, since when, is it getting worse? Look at or ask "
        "about the catheter site. Tell the prescriber; with chest pain, or trouble breathing or "
        "speaking, call the emergency number first.",
        why="Redness, pain or fever can come from the catheter.",
        source="Complications of catheters, Option Care and ASHP [V]; signs of a clot, a stroke "
        "or an allergy are high [A].",
        clears="When somebody reports that it is over, or after 72 hours without a repeat.",
        limits=("complaint_h",),
    ),
    "level-overdue": Text(
        title="level overdue",
        what="The blood test for the heparin level was due[ {span} ago], and no result has come.",
        first="Ask whether the blood was drawn and where the sample is. If it was not, arrange it "
        "and tell the prescriber.",
        why="The dose is steered by this test alone.",
        source="6 h after start and each change, daily when settled (Raschke, Michigan [V]); told "
        "1 h later, high 3 h later after a level out of range, and each with the time a "
        "laboratory takes [A].",
        clears="When a result comes.",
        limits=(
            "level_due_h",
            "level_settled_h",
            "level_overdue_h",
            "level_overdue_high_h",
            "level_turnaround_h",
            "laboratory_expected",
        ),
    ),
    "platelets-due": Text(
        title="platelet count overdue",
        what="A platelet count was due[ {span} ago].",
        first="Arrange a count with the next blood test.",
        why="From day 4 to 14 platelets can fall because of heparin, and only a count shows it.",
        source="Day 4 to 14, every 2 to 3 days (ASH 2018 [V]).",
        clears="When a count comes.",
        limits=(
            "platelets_from_day",
            "platelets_until_day",
            "platelets_every_h",
            "platelets_overdue_h",
        ),
    ),
    "visit-overdue": Text(
        title="visit overdue",
        what="A visit was due[ {span} ago].",
        first="Call the patient and agree on a visit: dressing, catheter site, supplies.",
        why="The dressing, the catheter and the patient need somebody's eyes every week.",
        source="Weekly (Option Care and ASHP [V]); 4 h after a planned one [A].",
        clears="When a visit is reported.",
        limits=("visit_every_h", "visit_overdue_h", "visit_late_h"),
    ),
    "delivery-overdue": Text(
        title="delivery overdue",
        what="A delivery of supplies was due[ {span} ago], and nobody has said that it came.",
        first="Ask the courier where it is, and the patient what is left and for how long.",
        why="Without a bag, a line or a battery in time the infusion stops.",
        source="4 h after it was planned [A].",
        clears="When somebody reports that supplies have come, or that the delivery is cancelled.",
        limits=("delivery_late_h",),
    ),
    "supplies-low": Text(
        title="supplies low",
        what="Supplies at home have been low[ for {lasted}][: {detail}].",
        first="Ask what is left and for how long. Order what is missing from the pharmacy today.",
        why="A missing bag, line or battery stops the infusion.",
        source="What somebody reports [A].",
        clears="When somebody reports that supplies have come.",
    ),
}
TEXTS: dict[str, Text] = {
    **_DEVICE,
    **_TECHNICAL,
    **_THERAPY,
    **_DELIVERY,
    **_LABORATORY,
    **_CARE,
}


def title(key: str) -> str:
    """What a rule's alert is called. Raises KeyError for a rule without texts."""
    return TEXTS[key].title


def tell(
    key: str,
    evidence: Evidence,
    *,
    since_ms: int | None = None,
    at_ms: int | None = None,
    priority: Priority | None = None,
    ordered_iu_h: float | None = None,
) -> Told:
    """What a nurse reads of an alert: what happened, and what to look at first.

    `since_ms` is when the hazard began and `at_ms` now, both on the pump's clock: the length of
    time between them is told, never a time of day, which belongs to who shows it. The affected
    dose is told where the evidence has `dose_iu`, and with `ordered_iu_h` also as so many minutes
    of the ordered rate. What is not known is left out. Raises KeyError for a rule without texts.
    """
    return told(
        TEXTS[key],
        evidence,
        since_ms=since_ms,
        at_ms=at_ms,
        priority=priority,
        ordered_iu_h=ordered_iu_h,
    )
