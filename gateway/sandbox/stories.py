"""What the invented customers and the shop's people have said to each other before demo mode began."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus

_EMAIL, _SMS = ChannelName.EMAIL, ChannelName.SMS
_WHATSAPP, _WEBCHAT = ChannelName.WHATSAPP, ChannelName.WEBCHAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """A customer's message. `ago` is before the seeding, here and below."""

    ago: timedelta
    channel: ChannelName
    text: str
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A colleague's answer on the customer's channel, and how far it came."""

    ago: timedelta
    by: str
    text: str
    came_to: MessageStatus
    error: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    ago: timedelta
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    ago: timedelta
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    ago: timedelta
    by: str
    until: timedelta  # after the seeding
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    ago: timedelta
    by: str
    reason: str


Step = Wrote | Answered | Took | Noted | Snoozed | Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One conversation, in the order in which it went."""

    customer_id: str
    steps: Sequence[Step]


def _ago(*, days: float = 0, hours: float = 0, minutes: float = 0) -> timedelta:
    return timedelta(days=days, hours=hours, minutes=minutes)


_LATE_PARCEL = Story(
    customer_id="c-2",
    steps=[
        Wrote(
            ago=_ago(hours=3, minutes=10),
            channel=_SMS,
            text="hi, order 10019 was due last week and tracking hasn't moved since Tuesday?? is it lost",
        ),
        Wrote(
            ago=_ago(minutes=41),
            channel=_SMS,
            text="Hello? I leave on Friday and I need the sunscreen for the trip",
        ),
    ],
)

_REFUND_UNDER_WAY = Story(
    customer_id="c-3",
    steps=[
        Wrote(
            ago=_ago(days=1, hours=4),
            channel=_WHATSAPP,
            text="Buenas! Devolví el aceite de noche la semana pasada (pedido 10011) y todavía no veo el reembolso. "
            "Me lo pueden mirar porfa?",
        ),
        Took(ago=_ago(days=1, hours=3, minutes=45), by="diego"),
        Answered(
            ago=_ago(days=1, hours=3, minutes=38),
            by="diego",
            text="Hola, Lucía. Recibimos tu paquete y el reembolso de 46,00 USD salió hace 6 días. El banco tarda de 5 "
            "a 10 días laborables desde entonces. Lo dejo anotado y te aviso por aquí cuando conste como pagado.",
            came_to=MessageStatus.READ,
        ),
        Wrote(ago=_ago(days=1, hours=3, minutes=20), channel=_WHATSAPP, text="Perfecto, gracias Diego 🙏"),
        Answered(
            ago=_ago(days=1, hours=3, minutes=12),
            by="diego",
            text="A ti. ¡Que tengas buen día!",
            came_to=MessageStatus.READ,
        ),
    ],
)

_INGREDIENTS = Story(
    customer_id="c-4",
    steps=[
        Wrote(
            ago=_ago(hours=22),
            channel=_WHATSAPP,
            text="Bonjour, je suis enceinte de 4 mois. Est-ce que le Calm serum contient du rétinol ou des huiles "
            "essentielles ? J'ai passé la commande 10021 hier, j'aimerais être sûre avant de l'ouvrir.",
        ),
        Took(ago=_ago(hours=21, minutes=30), by="claire"),
        Answered(
            ago=_ago(hours=21, minutes=14),
            by="claire",
            text="Bonjour Camille, et félicitations ! Le Calm serum ne contient ni rétinol ni huiles essentielles ; la "
            "liste complète est sur l'étui et sur la fiche produit. En cas de doute pendant une grossesse, "
            "montrez-la à votre médecin ou à votre sage-femme. Non ouvert, vous pouvez aussi le rendre sous 60 jours.",
            came_to=MessageStatus.READ,
        ),
        Wrote(
            ago=_ago(hours=2, minutes=5),
            channel=_WHATSAPP,
            text="Merci beaucoup ! Et la crème Barrier, même chose ? Elle a un parfum ?",
        ),
    ],
)

_BROKEN_PUMP = Story(
    customer_id="c-5",
    steps=[
        Wrote(
            ago=_ago(days=3, hours=5),
            channel=_EMAIL,
            subject="Bestellung 10016: Pumpe defekt",
            text="Guten Tag,\n\ndas Nachtöl aus meiner Bestellung 10016 kam vorgestern an, aber die Pumpe ist "
            "gebrochen und der halbe Inhalt ist im Karton ausgelaufen. Die Creme ist zum Glück heil geblieben. Ich "
            "hätte gern Ersatz, kein Geld zurück.\n\nMit freundlichen Grüßen\nJonas Weber",
        ),
        Took(ago=_ago(days=3, hours=3), by="lena"),
        Answered(
            ago=_ago(days=3, hours=2, minutes=40),
            by="lena",
            text="Guten Tag, Herr Weber,\n\ndas tut mir leid. Bitte schicken Sie uns ein Foto von der Pumpe und vom "
            "Karton, dann prüfen wir den Schaden mit dem Versanddienst und klären den Ersatz mit Ihnen. Die Flasche "
            "heben Sie bitte so lange auf.\n\nViele Grüße\nLena Vogt",
            came_to=MessageStatus.SENT,
        ),
        Snoozed(ago=_ago(days=3, hours=2, minutes=38), by="lena", until=_ago(days=2), reason="Wartet auf die Fotos."),
    ],
)

_WRONG_SHADE = Story(
    customer_id="c-6",
    steps=[
        Wrote(
            ago=_ago(days=13),
            channel=_EMAIL,
            subject="Reso skin tint, ordine 10008",
            text="Salve, la tonalità 02 è troppo scura per me. L'ho provata solo una volta sulla mano. Posso ancora "
            "restituirla e come funziona? Non ho mai fatto un reso con voi.\nGrazie, Giulia",
        ),
        Took(ago=_ago(days=12, hours=22), by="claire"),
        Answered(
            ago=_ago(days=12, hours=21),
            by="claire",
            text="Buongiorno Giulia,\n\ncerto: ha 60 giorni dalla consegna.\n1. Apra l'ordine 10008 nel Suo account e "
            "scelga «Reso».\n2. Stampi l'etichetta, per Lei è gratuita.\n3. Rimetta il flacone nel suo astuccio, ben "
            "chiuso, in una scatola rigida.\nQuando il pacco arriva avviamo il rimborso; l'accredito richiede da 5 a "
            "10 giorni lavorativi.\n\nUn saluto,\nClaire",
            came_to=MessageStatus.SENT,
        ),
        Wrote(
            ago=_ago(days=2, hours=6),
            channel=_EMAIL,
            subject="Re: Reso skin tint, ordine 10008",
            text="Rimborso arrivato oggi, grazie mille! Velocissimi.",
        ),
        Answered(
            ago=_ago(days=2, hours=5),
            by="claire",
            text="Che bella notizia, Giulia. Grazie di avercelo scritto!\n\nClaire",
            came_to=MessageStatus.SENT,
        ),
        Resolved(ago=_ago(days=2, hours=4, minutes=58), by="claire", reason="Rimborso ricevuto."),
    ],
)

_COUPON = Story(
    customer_id="c-7",
    steps=[
        Wrote(
            ago=_ago(minutes=18),
            channel=_WEBCHAT,
            text="oi! to tentando usar o cupom BEMVINDA10 e diz que é inválido 😕",
        ),
        Wrote(ago=_ago(minutes=17), channel=_WEBCHAT, text="é minha primeira compra aí"),
    ],
)

_MISSING_ITEM = Story(
    customer_id="c-8",
    steps=[
        Wrote(
            ago=_ago(hours=16),
            channel=_EMAIL,
            subject="Lippenbalsem ontbreekt (10018)",
            text="Hoi,\n\nGisteren mijn pakketje binnen, maar de lippenbalsem zat er niet in. De twee cleansers wel. "
            "Op de pakbon staan er gewoon drie dingen. Kunnen jullie hem nasturen?\n\nGroetjes,\nSanne",
        ),
    ],
)

_PAID_TWICE = Story(
    customer_id="c-9",
    steps=[
        Wrote(
            ago=_ago(days=1, hours=9),
            channel=_EMAIL,
            subject="Podwójne obciążenie karty - reklamacja",
            text="Dzień dobry,\nza zamówienie 10020 bank pobrał mi pieniądze dwa razy, 2 x 78,50 EUR. Pisałam już "
            "wczoraj przez formularz i nikt nie odpowiedział. Proszę o pilny zwrot i wyjaśnienie, bo jestem naprawdę "
            "rozczarowana.\nKatarzyna Nowak",
        ),
        Took(ago=_ago(days=1, hours=8, minutes=20), by="marta"),
        Noted(
            ago=_ago(days=1, hours=8, minutes=10),
            by="marta",
            text="Payment log shows two captures, 14 s apart. Her message in the form is nowhere: asked the web team.",
        ),
        Answered(
            ago=_ago(days=1, hours=7, minutes=50),
            by="marta",
            text="Dzień dobry, Pani Katarzyno,\n\nprzepraszam za brak odpowiedzi na formularz i za podwójne "
            "obciążenie. Potwierdziliśmy drugą płatność i dziś zleciliśmy zwrot 78,50 EUR na tę samą kartę. Zajmuje to "
            "od 5 do 10 dni roboczych. Sprawdzamy też, dlaczego Pani wiadomość do nas nie dotarła, i napiszę, co "
            "ustaliliśmy.\n\nMarta Zielińska",
            came_to=MessageStatus.SENT,
        ),
        Wrote(
            ago=_ago(hours=5, minutes=30),
            channel=_EMAIL,
            subject="Re: Podwójne obciążenie karty - reklamacja",
            text="Dziękuję za szybką reakcję. Czekam jeszcze na informację w sprawie formularza.\nK. Nowak",
        ),
    ],
)

_SENSITIVE_SKIN = Story(
    customer_id="c-10",
    steps=[
        Wrote(
            ago=_ago(hours=1, minutes=12),
            channel=_WHATSAPP,
            text="السلام عليكم، بشرتي حساسة جدًا وعندي إكزيما خفيفة. هل واقي الشمس المعدني مناسب لي؟ وهل فيه عطر؟",
        ),
        Wrote(ago=_ago(minutes=52), channel=_WHATSAPP, text="وكم حجم العبوة لو سمحتم"),
    ],
)

_HOW_TO_USE = Story(
    customer_id="c-11",
    steps=[
        Wrote(
            ago=_ago(hours=7),
            channel=_WEBCHAT,
            text="ナイトオイルとカームセラムは一緒に使っても大丈夫ですか？順番も知りたいです。",
        ),
        Took(ago=_ago(hours=6, minutes=56), by="yuki"),
        Answered(
            ago=_ago(hours=6, minutes=51),
            by="yuki",
            text="佐藤様、お問い合わせありがとうございます。はい、併用いただけます。洗顔後にセラム、なじんでからオイルを"
            "2、3滴の順でお使いください。初めての組み合わせですので、まず腕の内側で試していただくと安心です。",
            came_to=MessageStatus.READ,
        ),
        Wrote(ago=_ago(hours=6, minutes=47), channel=_WEBCHAT, text="わかりました！今夜から試してみます。"),
        Answered(
            ago=_ago(hours=6, minutes=45),
            by="yuki",
            text="ぜひお試しください。気になることがあれば、いつでもご連絡ください。",
            came_to=MessageStatus.DELIVERED,
        ),
    ],
)

_NEW_ADDRESS = Story(
    customer_id="c-12",
    steps=[
        Wrote(
            ago=_ago(hours=4, minutes=20),
            channel=_SMS,
            text="주문번호 10022 배송지를 잘못 적었어요ㅠㅠ 아직 출고 전이면 주소 변경 가능할까요?",
        ),
        Took(ago=_ago(hours=4, minutes=5), by="yuki"),
        Answered(
            ago=_ago(hours=4),
            by="yuki",
            text="안녕하세요, 김서연 고객님. 아직 출고 전이라 변경할 수 있습니다. 새 주소를 답장으로 보내 주세요.",
            came_to=MessageStatus.DELIVERED,
        ),
        Wrote(
            ago=_ago(minutes=26),
            channel=_SMS,
            text="감사합니다! 새 주소는 이메일로 보냈어요. 확인 부탁드려요",
        ),
        Wrote(
            ago=_ago(minutes=24),
            channel=_EMAIL,
            subject="주문 10022 주소 변경",
            text="안녕하세요, 방금 문자 드린 김서연입니다.\n\n새 주소: 12 Example Lane, Apt 5, Los Angeles, CA 90001\n"
            "전화번호는 그대로입니다. 감사합니다.",
        ),
    ],
)

_REFUND_OVERDUE = Story(
    customer_id="c-13",
    steps=[
        Wrote(
            ago=_ago(days=2, hours=3),
            channel=_EMAIL,
            subject="退款一直没到账 订单10002",
            text="你好，\n我一个月前把两瓶精华都寄回去了，物流显示你们早已签收，可是快三个星期了退款还没到。"
            "之前说5到10个工作日，现在早就超了。请给我一个明确的答复。\n陈静",
        ),
        Took(ago=_ago(days=2), by="yuki"),
        Answered(
            ago=_ago(days=1, hours=23),
            by="yuki",
            text="陈女士您好，\n\n非常抱歉让您久等。您的退货我们已确认收到，108.00 加元的退款确实超过了我们承诺的时间。"
            "我已请财务同事向银行核实原因，查清后会第一时间告诉您结果。\n\nYuki",
            came_to=MessageStatus.SENT,
        ),
        Noted(
            ago=_ago(days=1, hours=22, minutes=50),
            by="yuki",
            text="Finance: the bank sent it back, the card has expired. We need another way to pay her.",
        ),
        Wrote(ago=_ago(hours=9), channel=_WHATSAPP, text="您好，我是订单10002的陈静，退款有消息了吗？已经等了很久了"),
    ],
)

_PHONE_OFF = Story(
    customer_id="c-14",
    steps=[
        Wrote(
            ago=_ago(days=1, hours=1),
            channel=_SMS,
            text="Cancelled 10017 last week, has the refund gone out? Ta, Oliver",
        ),
        Took(ago=_ago(days=1), by="noor"),
        Answered(
            ago=_ago(hours=23, minutes=50),
            by="noor",
            text="Hi Oliver, yes: 58.00 GBP went back to your card and our bank reports it as paid. If it isn't on "
            "your statement by tomorrow, write to us here and we'll trace it. Noor",
            came_to=MessageStatus.FAILED,
            error="The customer's phone is off or out of reach.",
            error_code="30003",
        ),
    ],
)

STORIES = (
    _LATE_PARCEL,
    _REFUND_UNDER_WAY,
    _INGREDIENTS,
    _BROKEN_PUMP,
    _WRONG_SHADE,
    _COUPON,
    _MISSING_ITEM,
    _PAID_TWICE,
    _SENSITIVE_SKIN,
    _HOW_TO_USE,
    _NEW_ADDRESS,
    _REFUND_OVERDUE,
    _PHONE_OFF,
)
