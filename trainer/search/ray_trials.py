"""Run the trials of a search on a Ray cluster (`launcher=ray`), as many at once as it has GPUs.

Ray chooses the machines. This program keeps the study: it proposes settings, stops trials early and records how they
end.
"""

from __future__ import annotations

import logging
from typing import Any

from trainer.records.folder import RunFolder
from trainer.runs.ray_cluster import Cluster, join_cluster
from trainer.search.plan import Plan
from trainer.search.pruning import Question, RemotePruner, start_prune_actor
from trainer.search.study import Proposal
from trainer.search.trial import Outcome
from trainer.training.stop_signals import interrupt_on_signals
from utils.errors import UserError
from utils.rounds import counted_in, done_after

log = logging.getLogger(__name__)


def study_on_cluster(plan: Plan, trials: int) -> None:
    """Run trials until `trials` of them have ended. If this is interrupted, running trials save a state and stop.

    Raises `UserError` if Ray or a cluster is missing, or all trials failed, and `KeyboardInterrupt` if the search is
    asked to stop.
    """
    cluster = join_cluster()
    running: dict[Any, Proposal] = {}
    with interrupt_on_signals(), cluster.stopping_runs(running, plan.command), start_prune_actor(cluster.ray) as actor:
        ClusterTrials(plan, cluster, actor, running).run(trials)


class ClusterTrials:
    """The trials that run on a cluster. `running` holds their proposals by Ray's references to their results."""

    def __init__(self, plan: Plan, cluster: Cluster, actor: Any, running: dict[Any, Proposal]) -> None:
        self.plan, self.cluster, self.actor, self.running = plan, cluster, actor, running
        self.questions = [actor.next_question.remote()]

    def run(self, trials: int) -> None:
        """Send trials, answer their questions and record how they end, until `trials` of them have ended."""
        while self.send_more(trials):
            (ready, *_), _ = self.cluster.ray.wait([*self.questions, *self.running])
            if ready in self.questions:
                self.answer_question(ready)
            else:
                self.note_end(ready)

    def send_more(self, trials: int) -> bool:
        """Send as many trials as the cluster has room for; return whether any trial is running.

        They are proposed as late as possible, because later proposals know the scores of more trials.
        """
        while len(self.running) < min(self.cluster.max_runs, trials - len(self.plan.study.finished)):
            proposal = self.plan.study.propose()
            config = self.plan.config_to_run(proposal)
            if config is not None:
                work = self.plan.trial(RemotePruner(self.actor, proposal.number))
                self.running[self.cluster.send(work, config)] = proposal
                log.info("trial %d: sent to the cluster; its log is %s", proposal.number, RunFolder(config.folder).log)
        return bool(self.running)

    def answer_question(self, question: Any) -> None:
        """Answer a question and wait for the next. If the actor has died, no trial is stopped early any more."""
        try:
            self.answer(self.cluster.ray.get(question))
            self.questions = [self.actor.next_question.remote()]
        except self.cluster.ray.exceptions.RayActorError as error:
            log.warning("the process that takes the trials' questions is gone, so no more is pruned (%s)", error)
            self.questions = []

    def answer(self, question: Question) -> None:
        """Record a trial's score and answer whether to stop it; a trial that has ended meanwhile is not stopped."""
        proposal = {each.number: each for each in self.running.values()}.get(question.trial)
        if proposal is not None:
            label = self.plan.study.epoch_metric.label
            rounds = self.plan.config_of(proposal).trainer.rounds
            point = f"{counted_in(rounds)} {done_after(question.epoch, rounds)}"
            log.info("trial %d: %s, %s %.4f", question.trial, point, label, question.score)
        prune = proposal is not None and proposal.should_prune(question.epoch, question.score)
        self.actor.answer.remote(question.key, prune)

    def note_end(self, sent: Any) -> None:
        """Record how a trial ended. A fault of its settings, or the death of its machine, is a failed trial."""
        proposal = self.running[sent]
        try:
            _, outcome = self.cluster.end_of(sent)
        except UserError as error:
            outcome = Outcome("failed", reason=str(error))
        del self.running[sent]
        self.plan.close(proposal, outcome)
