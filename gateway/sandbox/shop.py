"""The invented shop of demo mode: what it sells, who works there, who buys, and what they bought.

Nobody here can be reached. Mailboxes are under names that nobody can register (RFC 2606), numbers come from the ranges
that regulators keep for fiction: 555-0100 to 555-0199 in North America, 07700 900xxx in Britain (Ofcom), 06 39 98 xx xx
in France (Arcep), 0171 39200xx in Germany (Bundesnetzagentur). Portugal keeps none, so Ana has the number that stands
in our own examples; demo mode reaches no provider that could call it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.domain.agent import Role
from gateway.domain.contact import Address, AddressKind

SHOP_NAME = "Fern & Fog"
SHOP_DOMAIN = "fernandfog.example"
SHOP_EMAIL = f"care@{SHOP_DOMAIN}"
SHOP_SMS = "+12025550142"
SHOP_WHATSAPP = "+12025550143"

# Of the browsers in which the customers chat: each has one, the same after every start.
_BROWSERS = uuid.UUID("5c0b6f3e-3a8b-4d0c-9d63-1f0f5f3f7a10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    key: str  # of their mailbox
    name: str
    role: Role
    languages: tuple[str, ...]  # BCP 47, best first

    @property
    def email(self) -> str:
        return f"{self.key}@{SHOP_DOMAIN}"


COLLEAGUES = (
    Colleague(key="noor", name="Noor Haddad", role=Role.ADMIN, languages=("en", "ar", "fr")),
    Colleague(key="marta", name="Marta Zielińska", role=Role.SUPERVISOR, languages=("pl", "en", "de")),
    Colleague(key="claire", name="Claire Fontaine", role=Role.AGENT, languages=("fr", "it", "en")),
    Colleague(key="diego", name="Diego Ramos", role=Role.AGENT, languages=("es", "pt", "en")),
    Colleague(key="lena", name="Lena Vogt", role=Role.AGENT, languages=("de", "nl", "en")),
    Colleague(key="yuki", name="Yuki Tanaka", role=Role.AGENT, languages=("ja", "ko", "zh", "en")),
)
ADMIN = COLLEAGUES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    id: str  # the shop's own
    name: str
    language: str  # BCP 47
    email: str
    phone: str | None = None  # E.164; takes text messages and WhatsApp

    @property
    def visitor(self) -> str:
        """The browser that they chat in."""
        return str(uuid.uuid5(_BROWSERS, self.id))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What the shop has verified; their browser proves itself when it comes."""
        found = [
            Address(kind=AddressKind.CUSTOMER, value=self.id),
            Address(kind=AddressKind.EMAIL, value=self.email),
        ]
        if self.phone is not None:
            found.append(Address(kind=AddressKind.PHONE, value=self.phone))
            found.append(Address(kind=AddressKind.WHATSAPP, value=self.phone))
        return tuple(found)


CUSTOMERS = (
    Customer(id="c-1", name="Ana Lima", language="pt", email="ana@example.com", phone="+351912345678"),
    Customer(id="c-2", name="Maya Thompson", language="en", email="maya.thompson@mail.example", phone="+12025550117"),
    Customer(id="c-3", name="Lucía Herrera", language="es", email="lucia.h@correo.example", phone="+13055550134"),
    Customer(id="c-4", name="Camille Moreau", language="fr", email="camille.m@courrier.example", phone="+33639981204"),
    Customer(id="c-5", name="Jonas Weber", language="de", email="jonas.weber@post.example", phone="+491713920012"),
    Customer(id="c-6", name="Giulia Conti", language="it", email="giulia.conti@posta.example"),
    Customer(id="c-7", name="Beatriz Souza", language="pt-BR", email="bia.souza@mail.example"),
    Customer(id="c-8", name="Sanne de Vries", language="nl", email="sanne@bericht.example"),
    Customer(id="c-9", name="Katarzyna Nowak", language="pl", email="k.nowak@poczta.example"),
    Customer(id="c-10", name="ليلى حدّاد", language="ar", email="layla.haddad@barid.example", phone="+33639984417"),
    Customer(id="c-11", name="佐藤 美咲", language="ja", email="misaki@tegami.example"),
    Customer(id="c-12", name="김서연", language="ko", email="seoyeon.kim@pyeonji.example", phone="+12135550147"),
    Customer(id="c-13", name="陈静", language="zh", email="chen.jing@youxiang.example", phone="+16045550188"),
    Customer(id="c-14", name="Oliver Grant", language="en", email="oliver.grant@mail.example", phone="+447700900461"),
)
ANA = CUSTOMERS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    sku: str
    name: str
    price: Decimal  # the same figure in every currency


PRODUCTS = {
    product.sku: product
    for product in (
        Product(sku="SERUM-30", name="Calm serum, 30 ml", price=Decimal("54.00")),
        Product(sku="CLEANSE-150", name="Oat milk cleanser, 150 ml", price=Decimal("24.50")),
        Product(sku="CREAM-50", name="Barrier cream, 50 ml", price=Decimal("38.00")),
        Product(sku="MIST-100", name="Rose water mist, 100 ml", price=Decimal("19.90")),
        Product(sku="SPF-50", name="Mineral sunscreen SPF 50, 50 ml", price=Decimal("29.00")),
        Product(sku="BALM-15", name="Berry lip balm, 15 ml", price=Decimal("12.00")),
        Product(sku="NIGHT-30", name="Bakuchiol night oil, 30 ml", price=Decimal("46.00")),
        Product(sku="TINT-02", name="Skin tint, shade 02", price=Decimal("32.00")),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    status: str
    carrier: str
    tracking_number: str
    expected_in_days: int  # from the seeding; negative: it was expected before


@dataclass(frozen=True, slots=True, kw_only=True)
class Repayment:
    status: str
    amount: Decimal
    started_days_ago: int
    completed_days_ago: int | None = None
    method: str = "card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    number: str
    customer_id: str
    status: str
    days_ago: int
    currency: str
    items: Sequence[tuple[str, int]]  # product and quantity
    parcels: Sequence[Parcel] = ()
    repayments: Sequence[Repayment] = ()

    @property
    def total(self) -> Decimal:
        return sum((PRODUCTS[sku].price * quantity for sku, quantity in self.items), Decimal(0))


def _parcel(status: str, carrier: str, tracking_number: str, expected_in_days: int) -> Parcel:
    return Parcel(status=status, carrier=carrier, tracking_number=tracking_number, expected_in_days=expected_in_days)


PURCHASES = (
    Purchase(
        number="10023",
        customer_id="c-1",
        status="shipped",
        days_ago=5,
        currency="EUR",
        items=[("SERUM-30", 1), ("MIST-100", 1)],
        parcels=[_parcel("dispatched", "DHL", "JD014600010023", 2)],
    ),
    Purchase(
        number="10004",
        customer_id="c-1",
        status="delivered",
        days_ago=41,
        currency="EUR",
        items=[("CREAM-50", 1), ("BALM-15", 2)],
        parcels=[_parcel("delivered", "DHL", "JD014600010004", -36)],
        repayments=[Repayment(status="completed", amount=Decimal("12.00"), started_days_ago=30, completed_days_ago=24)],
    ),
    Purchase(
        number="10019",
        customer_id="c-2",
        status="shipped",
        days_ago=12,
        currency="USD",
        items=[("CLEANSE-150", 1), ("SPF-50", 1)],
        parcels=[_parcel("stalled", "USPS", "9400100000000000010019", -4)],
    ),
    Purchase(
        number="10011",
        customer_id="c-3",
        status="delivered",
        days_ago=24,
        currency="USD",
        items=[("NIGHT-30", 1)],
        parcels=[_parcel("delivered", "UPS", "1Z0000000000010011", -18)],
        repayments=[Repayment(status="started", amount=Decimal("46.00"), started_days_ago=6)],
    ),
    Purchase(
        number="10021",
        customer_id="c-4",
        status="placed",
        days_ago=1,
        currency="EUR",
        items=[("SERUM-30", 1)],
    ),
    Purchase(
        number="10016",
        customer_id="c-5",
        status="delivered",
        days_ago=9,
        currency="EUR",
        items=[("NIGHT-30", 1), ("CREAM-50", 1)],
        parcels=[_parcel("delivered", "DHL", "JD014600010016", -5)],
    ),
    Purchase(
        number="10008",
        customer_id="c-6",
        status="delivered",
        days_ago=30,
        currency="EUR",
        items=[("TINT-02", 1), ("SPF-50", 1)],
        parcels=[_parcel("delivered", "BRT", "BRT0000010008", -25)],
        repayments=[Repayment(status="completed", amount=Decimal("32.00"), started_days_ago=9, completed_days_ago=2)],
    ),
    Purchase(
        number="10018",
        customer_id="c-8",
        status="delivered",
        days_ago=8,
        currency="EUR",
        items=[("CLEANSE-150", 2), ("BALM-15", 1)],
        parcels=[_parcel("delivered", "PostNL", "3SFERN000010018", -1)],
    ),
    Purchase(
        number="10020",
        customer_id="c-9",
        status="paid",
        days_ago=3,
        currency="EUR",
        items=[("SERUM-30", 1), ("CLEANSE-150", 1)],
        repayments=[Repayment(status="started", amount=Decimal("78.50"), started_days_ago=1)],
    ),
    Purchase(
        number="10014",
        customer_id="c-11",
        status="delivered",
        days_ago=15,
        currency="USD",
        items=[("NIGHT-30", 1), ("MIST-100", 2)],
        parcels=[_parcel("delivered", "DHL Express", "JD014600010014", -9)],
    ),
    Purchase(
        number="10022",
        customer_id="c-12",
        status="paid",
        days_ago=1,
        currency="USD",
        items=[("CREAM-50", 2)],
    ),
    Purchase(
        number="10002",
        customer_id="c-13",
        status="delivered",
        days_ago=52,
        currency="CAD",
        items=[("SERUM-30", 2)],
        parcels=[_parcel("delivered", "Canada Post", "7023000000010002", -45)],
        repayments=[Repayment(status="delayed", amount=Decimal("108.00"), started_days_ago=20)],
    ),
    Purchase(
        number="10017",
        customer_id="c-14",
        status="cancelled",
        days_ago=8,
        currency="GBP",
        items=[("SPF-50", 2)],
        repayments=[Repayment(status="completed", amount=Decimal("58.00"), started_days_ago=7, completed_days_ago=1)],
    ),
)
