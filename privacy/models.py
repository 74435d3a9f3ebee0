"""The privacy budget: what each organisation's data has been charged. Entries are written once and never changed."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import Exists, OuterRef, Q

from privacy.dp.accountant import Release
from privacy.dp.composition import PPM


class BudgetAccount(models.Model):
    """The row that is locked while an organisation's budget is read and charged; knows it by name, as `ledger` does."""

    org_id = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("org_id",)

    def __str__(self) -> str:
        return self.org_id


class BudgetEntryQuerySet(models.QuerySet["BudgetEntry"]):
    def charged(self) -> BudgetEntryQuerySet:
        """The reservations that count: not released, or spent all the same."""
        closings = BudgetEntry.objects.filter(reservation=OuterRef("pk"))
        released = Exists(closings.filter(kind=BudgetEntry.Kind.RELEASED))
        spent = Exists(closings.filter(kind=BudgetEntry.Kind.SPENT))
        return self.filter(Q(~released) | Q(spent), kind=BudgetEntry.Kind.RESERVED)

    def given_back(self) -> BudgetEntryQuerySet:
        """The releases that hold: what they close was not spent all the same. The reservations without theirs count."""
        siblings = BudgetEntry.objects.filter(reservation=OuterRef("reservation"), kind=BudgetEntry.Kind.SPENT)
        return self.filter(~Exists(siblings), kind=BudgetEntry.Kind.RELEASED)


class BudgetEntry(models.Model):
    """One line of an organisation's privacy budget (append-only; triggers of the database say the same).

    A round reserves before any noise is drawn. The reservation counts until a `released` entry closes it, which takes
    the organisation's signature; a failed round alone gives nothing back. `unprotected` records that an update without
    noise was used: there is no epsilon to charge for it.
    """

    class Kind(models.TextChoices):
        RESERVED = "reserved"
        SPENT = "spent", "the update was used"
        RELEASED = "released", "the organisation signed that it drew no noise"
        UNPROTECTED = "unprotected", "an update without noise was used"

    account = models.ForeignKey(
        BudgetAccount, to_field="org_id", db_column="org_id", on_delete=models.PROTECT, related_name="entries"
    )
    round_id = models.CharField(max_length=64, db_index=True)
    kind = models.CharField(max_length=16, choices=Kind)
    reservation = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="closings", help_text="what this closes"
    )
    mechanism = models.CharField(max_length=16)
    sensitivity_ppm = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="L2, millionths of model units, or of clipping norms where records are sampled"
    )
    sigma_ppm = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="noise, millionths of the same unit as the sensitivity"
    )
    sampling_ppm = models.PositiveIntegerField(default=PPM, help_text="rate of sampling, millionths")
    steps = models.PositiveBigIntegerField(default=1, help_text="releases alike in the round")
    delta_ppt = models.PositiveBigIntegerField(null=True, blank=True, help_text="in units of 1e-12")
    statement = models.BinaryField(default=b"", blank=True, help_text="canonical bytes that were signed")
    key_id = models.CharField(max_length=64, blank=True)
    signature = models.BinaryField(default=b"", blank=True)
    recorded_at = models.DateTimeField()

    objects = BudgetEntryQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "budget entries"
        constraints = (
            models.UniqueConstraint(
                fields=("account", "round_id"), condition=Q(kind="reserved"), name="one_reservation_per_round"
            ),
            models.UniqueConstraint(
                fields=("account", "round_id"), condition=Q(kind="unprotected"), name="one_unprotected_use_per_round"
            ),
            models.UniqueConstraint(fields=("reservation", "kind"), name="reservation_closed_once_each_way"),
            models.CheckConstraint(
                name="only_closings_name_a_reservation",
                condition=Q(kind__in=("reserved", "unprotected"), reservation__isnull=True)
                | Q(kind__in=("spent", "released"), reservation__isnull=False),
            ),
            models.CheckConstraint(
                name="entry_has_its_mechanism",
                condition=Q(
                    kind="unprotected",
                    mechanism="none",
                    sensitivity_ppm__isnull=True,
                    sigma_ppm__isnull=True,
                    delta_ppt__isnull=True,
                )
                | Q(
                    kind__in=("reserved", "spent", "released"),
                    mechanism__in=("gaussian", "sampled_gaussian"),
                    sensitivity_ppm__isnull=False,  # a comparison with NULL is unknown, which a check lets pass
                    sensitivity_ppm__gte=1,
                    sigma_ppm__isnull=False,
                    sigma_ppm__gte=1,
                    delta_ppt__isnull=False,
                    delta_ppt__gte=1,
                ),
            ),
            models.CheckConstraint(
                name="sampling_is_a_rate_of_some_steps",
                condition=Q(sampling_ppm__gte=1, sampling_ppm__lte=PPM, steps__gte=1),
            ),
            models.CheckConstraint(
                name="only_a_signed_statement_releases",
                condition=(Q(kind="released") & ~Q(statement=b"") & ~Q(signature=b"") & ~Q(key_id=""))
                | (~Q(kind="released") & Q(statement=b"", signature=b"", key_id="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.kind} {self.round_id}"

    @property
    def release(self) -> Release:
        """What was charged, for the accountant."""
        assert self.sensitivity_ppm is not None  # a constraint of the table
        assert self.sigma_ppm is not None
        return Release(self.sensitivity_ppm, self.sigma_ppm, self.sampling_ppm, self.steps)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self._refuse("changed")
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("deleted")

    def _refuse(self, what: str) -> NoReturn:
        raise ImproperlyConfigured(f"a budget entry is append-only and cannot be {what}")
