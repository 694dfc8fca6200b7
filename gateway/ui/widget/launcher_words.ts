// The launcher's few words; everything else comes with the panel.

export const WORDS: Readonly<Record<string, readonly [open: string, failed: string]>> = {
  en: ["Chat with us", "The chat could not be loaded. Try again."],
  es: ["Habla con nosotros", "No se pudo cargar el chat. Inténtalo otra vez."],
  fr: ["Discuter avec nous", "Le chat n'a pas pu être chargé. Réessayez."],
  de: ["Mit uns chatten", "Der Chat konnte nicht geladen werden. Bitte noch einmal versuchen."],
  it: ["Scrivici in chat", "Non è stato possibile caricare la chat. Riprova."],
  pt: ["Fale connosco", "Não foi possível carregar o chat. Tente novamente."],
  nl: ["Chat met ons", "De chat kon niet worden geladen. Probeer het opnieuw."],
  pl: ["Porozmawiaj z nami", "Nie udało się wczytać czatu. Spróbuj ponownie."],
  ar: ["تحدّث معنا", "تعذّر تحميل المحادثة. حاول مرة أخرى."],
  ja: ["チャットで相談する", "チャットを読み込めませんでした。もう一度お試しください。"],
  ko: ["채팅 상담하기", "채팅을 불러오지 못했습니다. 다시 시도해 주세요."],
  zh: ["在线咨询", "聊天无法加载,请再试一次。"],
};
