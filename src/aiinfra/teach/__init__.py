"""What the learner did: predictions, comparisons, checks, quizzes, and the ledger of numbers."""

from aiinfra.teach import ledger
from aiinfra.teach.check import check
from aiinfra.teach.compare import compare
from aiinfra.teach.learned import learned
from aiinfra.teach.predict import predict
from aiinfra.teach.quiz import quiz

__all__ = ["check", "compare", "learned", "ledger", "predict", "quiz"]
